"""`ps3 view`: frames and answers in a browser, and a field to ask there (docs/view.md). The robot needs no display and no desktop.

A source gives frames and answers (files.py: an Asker of its own over files; topics.py: a running node), a small server passes them on
(server.py), and one static page draws them (static/).
"""
