"""The training side of pocketgan: data, networks, training, export."""
