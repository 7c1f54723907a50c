//! The rules that are not kept to the letter: what is so instead, and why that is let be.

use super::{Expected, PROTOCOL};

const GENERIC: Expected = Expected::Ends(&[PROTOCOL]);
const NAMELESS: &str = "the h2 library ends the connection, as it must, and says PROTOCOL_ERROR where there is a more \
                        precise reason: nobody acts on the difference";

pub(super) const ALL: [(&str, Expected, &str); 26] = [
    (
        "3.4 the first frame is not SETTINGS",
        Expected::Answer(1),
        "the h2 library waits for settings as long as nobody needs them",
    ),
    (
        "8.1 a pseudo-field in trailers",
        Expected::Answer(1),
        "the h2 library drops it, and the target does not see it (see `downgrade`)",
    ),
    ("4.3 a block that cannot be read", GENERIC, NAMELESS),
    ("4.3 a block that is cut", GENERIC, NAMELESS),
    ("5.1 DATA after the end", GENERIC, NAMELESS),
    ("6.3 a short PRIORITY", GENERIC, NAMELESS),
    ("6.4 a short RST_STREAM", GENERIC, NAMELESS),
    ("6.4 a long RST_STREAM", GENERIC, NAMELESS),
    ("6.5 an ACK with content", GENERIC, NAMELESS),
    ("6.5 a cut setting", GENERIC, NAMELESS),
    ("6.5.2 a window beyond 2^31 - 1", GENERIC, NAMELESS),
    ("6.7 a short PING", GENERIC, NAMELESS),
    ("6.7 a long PING", GENERIC, NAMELESS),
    ("6.9 a short WINDOW_UPDATE", GENERIC, NAMELESS),
    ("6.9 a long WINDOW_UPDATE", GENERIC, NAMELESS),
    ("8.1 DATA after trailers", GENERIC, NAMELESS),
    ("RFC 7541, 2.3.3: a field that is not in the tables", GENERIC, NAMELESS),
    ("RFC 7541, 2.3.3: a name that is not in the tables", GENERIC, NAMELESS),
    ("RFC 7541, 4.2: a new size at the end of a block", GENERIC, NAMELESS),
    ("RFC 7541, 5.1: a number without end", GENERIC, NAMELESS),
    ("RFC 7541, 5.2: more than 7 bits of padding", GENERIC, NAMELESS),
    ("RFC 7541, 5.2: padding of other bits", GENERIC, NAMELESS),
    ("RFC 7541, 5.2: the end of a string in it", GENERIC, NAMELESS),
    ("RFC 7541, 5.2: a string beyond the block", GENERIC, NAMELESS),
    ("RFC 7541, 6.1: the field 0", GENERIC, NAMELESS),
    ("RFC 7541, 6.3: a table above the setting", GENERIC, NAMELESS),
];
