"""The run-time checker of shapes and types that the suite is run under.

As in PEP 484 an int serves where a float is asked for. `TextIO` and `Self` are not looked at:
beartype asks more of the one than any stream in memory has, and knows the other in classes only.
"""

from typing import Self, TextIO

from beartype import BeartypeConf, BeartypeHintOverrides, beartype

checked = beartype(
    conf=BeartypeConf(
        is_pep484_tower=True, hint_overrides=BeartypeHintOverrides({TextIO: object, Self: object})
    )
)
