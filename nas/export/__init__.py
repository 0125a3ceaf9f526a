"""Exports: the winner as files that rebuild it elsewhere."""
