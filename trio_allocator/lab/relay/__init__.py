"""A link to put between any two programs that speak UDP, and to turn while they do.

```python
async with open_relay(("127.0.0.1", 5004), rate=2_000_000, delay=0.03) as relay:
    print(relay.address)                # where clients send to, instead of port 5004
    await relay.set(rate=600_000)       # bit/s
    await relay.pause(0.3)              # s: a radio that scans
    print((await relay.report()).to_clients.queue_delay)
```
"""

from .commands import CommandError as CommandError, Way as Way
from .handle import (
    Lateness as Lateness,
    Relay as Relay,
    RelayControl as RelayControl,
    RelayError as RelayError,
    RelayReport as RelayReport,
    WayReport as WayReport,
    connect_relay as connect_relay,
    open_relay as open_relay,
)
from .link import UNLIMITED as UNLIMITED
