"""The revisions of the schema, from 0001 on."""
