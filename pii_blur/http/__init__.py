"""The service behind `pii-blur serve`: other programs post photos over HTTP and get them back blurred.

`app.make_app` puts it together. Each contract (Panoramax, BMW, our own) is a folder with a router; all of them do their
photos by one `Blurrer`, which knows no HTTP.
"""
