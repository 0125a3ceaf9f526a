"""What can be searched: genomes, spaces, and the network that a genome means."""
