"""What has happened: campaigns, trials, attempts and metrics in a database; the only home of SQLAlchemy."""
