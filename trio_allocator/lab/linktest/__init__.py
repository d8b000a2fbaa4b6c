"""The link test: an emulated link on loopback, and two congestion controls that have to use it."""
