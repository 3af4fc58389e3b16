"""The machine below everything else: processes, files, paths, certificates. Knows nothing of images."""
