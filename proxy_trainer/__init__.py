"""How good a genome is: the small training whose result stands for the full one."""
