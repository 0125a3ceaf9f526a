"""What has happened: campaigns, trials and metrics in a SQL database."""
