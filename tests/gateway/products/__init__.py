"""The products that our how-tos configure, run as they are and with the how-to's own text."""
