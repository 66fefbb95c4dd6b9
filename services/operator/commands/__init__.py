"""The verbs of the `holdfast` command, one file each."""
