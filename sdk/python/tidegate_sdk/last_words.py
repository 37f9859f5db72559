"""An exception in one line: what it says, and where, as the reason of a dead letter has it.

Without the module `traceback`, which looks for source files; in a component there are none.
"""

# The runtime keeps the first 512 bytes of a reason's last words.
_MESSAGE_CHARACTERS_MAX = 300
_PLACES_MAX = 4
_SDK = __file__.rpartition("/")[0]


def last_words(error):
    """`ValueError: no such thing (shop.py line 12 in price, called by shop.py line 30 in enrich)`."""
    says = f"{type(error).__name__}: {error}".replace("\n", " ").removesuffix(": ")
    if len(says) > _MESSAGE_CHARACTERS_MAX:
        says = says[:_MESSAGE_CHARACTERS_MAX] + "…"
    places, trace = [], error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        folder, _, file = code.co_filename.rpartition("/")
        if folder != _SDK:
            places.insert(0, f"{file} line {trace.tb_lineno} in {code.co_name}")
        trace = trace.tb_next
    if len(places) > _PLACES_MAX:
        places[_PLACES_MAX:] = ["…"]
    return f"{says} ({', called by '.join(places)})" if places else says
