"""The contract of Panoramax (GeoVisio) with its blurring service, as sgblur speaks it."""
