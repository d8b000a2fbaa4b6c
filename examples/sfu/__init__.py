"""A media server (SFU) that browsers join, with the allocator at work on real media.

Run it: ``python -m examples.sfu``. It needs the extra ``sfu``. The modules, from the wire up:

========================  =========================================================================
``rtp``, ``vp8``,         packets: headers, key frames, picture ids
``h264``, ``codecs``
``ice``, ``dtls``,        a WebRTC transport: who may send, keys, protection; ``transport`` has the
``srtp``, ``transport``   socket
``sdp``                   offers read, answers made
``rewriting``,            one stream made of several layers, and what it takes to send it to a peer
``outgoing``
``publication``,          what somebody publishes: layers, key frames, who wants what, and what the
``repair``                network lost of it
``adaptive``              **where trio_allocator is used**: one connection to a subscriber
``subscriber``, ``room``  who watches what; who is there
``link``                  an emulated link between the server and a subscriber
``signalling``, ``web``   messages of the pages, and the pages
========================  =========================================================================
"""
