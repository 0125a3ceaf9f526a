"""The one definition of the network: for proxies, for retraining and for every export."""
