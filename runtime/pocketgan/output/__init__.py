"""Output of drawn images: files in several formats, contact sheets, animations, standard output and the terminal."""
