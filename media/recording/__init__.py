"""What becomes of a recorded lesson (D7): files that the packet engine appended to, made into one that plays.

    engine --> <recordings>/<lesson>/*.part --(child process)--> <recordings>/<lesson>.mkv

    service    RecordingService: starts the child process when a lesson is over
    layout     names of files and folders
    __main__   python -m media.recording FOLDER OUT.mkv
      remux    the files of a folder on one timeline, into Matroska, nothing encoded anew
        timeline  when each packet was captured, on the clock of all files
        frames    packets to frames: order restored, what has a hole left out
          depacketise  one codec's payloads (VP8, H.264, Opus)
        format    the entries of a raw file: FORMAT.md

Everything but ``service`` runs in the child process: nothing of it may be called on the event loop.
"""
