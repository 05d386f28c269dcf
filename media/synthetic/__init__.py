"""A synthetic classroom: a process of its own that joins a lesson like any endpoint, with a drawn picture.

::

    __main__   the command line and the signals
       |
    endpoint   WebSocket and peer connection: hello, open, join; joins anew when the connection is lost
       |
    tracks     the picture and the speech as aiortc tracks, on an absolute schedule
       |
    picture    draws one moment of the scene: no clock, no I/O
    speech.ogg what it says; made by record_speech

It shares nothing with the server but bridge.values: what it knows of it is the wire protocol.
"""
