//! The rules, by the sections of RFC 9113 and RFC 7541.

use super::*;

const MAX_FRAME: usize = 16 * 1024;

pub(super) fn all() -> Vec<Case> {
    let sections = [
        preface_and_frames(),
        states(),
        closed_streams(),
        stream_numbers(),
        data_and_headers(),
        priorities_and_resets(),
        settings(),
        pings_and_ends(),
        windows(),
        window_sizes(),
        continuations(),
        requests(),
        messages(),
        pseudo_fields(),
        fields_and_lengths(),
        compression(),
    ];
    sections.into_iter().flatten().collect()
}

use Expected::{Alive, Answer, Data, Ends, Resets};
use Step::{Await, Send};

/// A whole request without a body.
fn get(stream: u32) -> Vec<u8> {
    frame(HEADERS, WHOLE, stream, block(&GET))
}

/// The head of a request whose body follows.
fn post(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, block(&POST))
}

/// The fields of a GET, and more.
fn get_with(fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, WHOLE, 1, [block(&GET), block(fields)].concat())
}

/// A request of these fields alone.
fn only(fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, WHOLE, 1, block(fields))
}

/// The fields of a GET without that one.
fn get_without(name: &str) -> Vec<u8> {
    only(&GET.into_iter().filter(|(known, _)| *known != name).collect::<Vec<_>>())
}

fn data(flags: u8, stream: u32, text: &str) -> Vec<u8> {
    frame(DATA, flags, stream, text)
}

fn ping() -> Vec<u8> {
    frame(PING, 0, 0, *b"a ping !")
}

fn reset(stream: u32, code: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, code.to_be_bytes())
}

fn set(rows: &[(u16, u32)]) -> Vec<u8> {
    let row = |(name, value): &(u16, u32)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat();
    frame(SETTINGS, 0, 0, rows.iter().flat_map(row).collect::<Vec<_>>())
}

fn widen(stream: u32, by: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, by.to_be_bytes())
}

/// A priority that depends on another stream.
fn after(stream: u32) -> Vec<u8> {
    [&stream.to_be_bytes()[..], &[15]].concat()
}

fn preface_and_frames() -> Vec<Case> {
    let bare = |rule, bytes: Vec<u8>, expected| Case { rule, bare: true, steps: vec![Send(bytes)], expected };
    let long = "a".repeat(MAX_FRAME + 1);
    vec![
        bare("3.4 a preface and a request at once", [preface(), get(1)].concat(), Answer(1)),
        bare(
            "3.4 another preface",
            b"PRI * HTTP/2.1\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec(),
            Ends(&[PROTOCOL]),
        ),
        bare(
            "3.4 a request of HTTP/1.1",
            b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n".to_vec(),
            Ends(&[PROTOCOL]),
        ),
        bare(
            "3.4 the first frame is not SETTINGS",
            [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &get(1)].concat(),
            Ends(&[PROTOCOL]),
        ),
        case("4.1 an unknown kind of frame", &[frame(0x16, 0, 0, [0; 8])], Alive),
        case("4.1 an unknown kind of frame on a stream", &[get(1), frame(0x16, 0xff, 1, [0; 8])], Answer(1)),
        case("4.1 unknown flags", &[frame(PING, 0xf6, 0, *b"flagged!")], Alive),
        case("4.1 the reserved bit", &[frame(PING, 0, 1 << 31, *b"reserved")], Alive),
        case(
            "4.1 the reserved bit of a stream",
            &[frame(HEADERS, WHOLE, 1 << 31 | 1, block(&GET))],
            Answer(1),
        ),
        case("4.2 the largest frame", &[post(1), data(END_STREAM, 1, &long[1..])], Answer(1)),
        case("4.2 too large DATA", &[post(1), data(END_STREAM, 1, &long)], Resets(1, &[FRAME_SIZE])),
        case("4.2 too large HEADERS", &[get_with(&[("x", &long)])], Ends(&[FRAME_SIZE])),
        case("4.2 too large SETTINGS", &[frame(SETTINGS, 0, 0, [0; 6 * 2731])], Ends(&[FRAME_SIZE])),
        case("4.2 a too large frame of an unknown kind", &[frame(0x16, 0, 0, &long)], Ends(&[FRAME_SIZE])),
        case("4.3 a block that cannot be read", &[frame(HEADERS, WHOLE, 1, [0xff; 8])], Ends(&[COMPRESSION])),
        case(
            "4.3 a block that is cut",
            &[frame(HEADERS, WHOLE, 1, [0x00, 0x05, b'a'])],
            Ends(&[COMPRESSION]),
        ),
        case(
            "4.3 PRIORITY inside a block",
            &[frame(HEADERS, END_STREAM, 1, block(&GET)), frame(PRIORITY, 0, 1, after(0))],
            Ends(&[PROTOCOL]),
        ),
        case(
            "4.3 HEADERS of another stream inside a block",
            &[frame(HEADERS, END_STREAM, 1, block(&GET)), get(3)],
            Ends(&[PROTOCOL]),
        ),
        case(
            "4.3 a PING inside a block",
            &[frame(HEADERS, END_STREAM, 1, block(&GET)), ping()],
            Ends(&[PROTOCOL]),
        ),
        case(
            "5.5 an unknown kind of frame inside a block",
            &[frame(HEADERS, END_STREAM, 1, block(&GET)), frame(0x16, 0, 0, [0; 8])],
            Ends(&[PROTOCOL]),
        ),
    ]
}

fn states() -> Vec<Case> {
    vec![
        case("5.1 DATA on an idle stream", &[data(END_STREAM, 1, "x")], Ends(&[PROTOCOL])),
        case("5.1 RST_STREAM on an idle stream", &[reset(1, 8)], Ends(&[PROTOCOL])),
        case("5.1 WINDOW_UPDATE on an idle stream", &[widen(1, 100)], Ends(&[PROTOCOL])),
        case(
            "5.1 CONTINUATION on an idle stream",
            &[frame(CONTINUATION, 4, 1, block(&GET))],
            Ends(&[PROTOCOL]),
        ),
        case("5.1 PRIORITY on an idle stream", &[frame(PRIORITY, 0, 1, after(0))], Alive),
        case("5.1 DATA after the end", &[get(1), data(END_STREAM, 1, "x")], Resets(1, &[STREAM_CLOSED])),
        case("5.1 HEADERS after the end", &[get(1), get(1)], Resets(1, &[STREAM_CLOSED, PROTOCOL])),
        case(
            "5.1 CONTINUATION after the end",
            &[get(1), frame(CONTINUATION, END_HEADERS, 1, block(&GET))],
            Ends(&[STREAM_CLOSED, PROTOCOL]),
        ),
        case("5.1 WINDOW_UPDATE after the end", &[get(1), widen(1, 100)], Answer(1)),
        case("5.1 PRIORITY after the end", &[get(1), frame(PRIORITY, 0, 1, after(0))], Answer(1)),
        case(
            "5.1 DATA after a reset",
            &[post(1), reset(1, 8), data(END_STREAM, 1, "x")],
            Resets(1, &[STREAM_CLOSED]),
        ),
        case(
            "5.1 HEADERS after a reset",
            &[post(1), reset(1, 8), get(1)],
            Resets(1, &[STREAM_CLOSED, PROTOCOL]),
        ),
        case(
            "5.1 CONTINUATION after a reset",
            &[post(1), reset(1, 8), frame(CONTINUATION, END_HEADERS, 1, block(&GET))],
            Ends(&[STREAM_CLOSED, PROTOCOL]),
        ),
        case("5.1 a reset is no end of the connection", &[post(1), reset(1, 8), get(3)], Answer(3)),
        case("5.1 a reset twice", &[post(1), reset(1, 8), reset(1, 8)], Alive),
    ]
}

fn closed_streams() -> Vec<Case> {
    let answered = |rule, then: Vec<u8>, expected| Case {
        rule,
        bare: false,
        steps: vec![Send(get(1)), Await(DATA, 1), Send(then)],
        expected,
    };
    vec![
        answered("5.1 DATA on a closed stream", data(END_STREAM, 1, "x"), Resets(1, &[STREAM_CLOSED])),
        answered("5.1 HEADERS on a closed stream", get(1), Resets(1, &[STREAM_CLOSED, PROTOCOL])),
        answered(
            "5.1 CONTINUATION on a closed stream",
            frame(CONTINUATION, END_HEADERS, 1, block(&GET)),
            Ends(&[STREAM_CLOSED, PROTOCOL]),
        ),
        answered("5.1 WINDOW_UPDATE on a closed stream", widen(1, 1), Alive),
        answered("5.1 RST_STREAM on a closed stream", reset(1, 8), Alive),
        answered("5.1 PRIORITY on a closed stream", frame(PRIORITY, 0, 1, after(0)), Alive),
        answered("5.1 another stream", get(3), Answer(3)),
    ]
}

fn stream_numbers() -> Vec<Case> {
    let many: Vec<Vec<u8>> = (0..101).map(|number| post(number * 2 + 1)).collect();
    vec![
        case("5.1.1 an even number", &[get(2)], Ends(&[PROTOCOL])),
        case("5.1.1 a number below the last", &[get(5), get(3)], Ends(&[PROTOCOL, STREAM_CLOSED])),
        case("5.1.1 numbers that were left out", &[get(7)], Answer(7)),
        case("5.1.1 the highest number", &[get((1 << 31) - 1)], Answer((1 << 31) - 1)),
        case("5.1.2 one stream too many", &many, Resets(201, &[PROTOCOL, REFUSED])),
        case(
            "5.3 HEADERS that depend on themselves",
            &[frame(HEADERS, WHOLE | WITH_PRIORITY, 1, [after(1), block(&GET)].concat())],
            Resets(1, &[PROTOCOL]),
        ),
        case(
            "5.3 PRIORITY that depends on itself",
            &[frame(PRIORITY, 0, 1, after(1))],
            Resets(1, &[PROTOCOL]),
        ),
    ]
}

fn data_and_headers() -> Vec<Case> {
    vec![
        case("6.1 DATA", &[post(1), data(0, 1, "x"), data(END_STREAM, 1, "y")], Answer(1)),
        case("6.1 DATA with padding", &[post(1), data(END_STREAM | PADDED, 1, "\x03xy\0\0\0")], Answer(1)),
        case(
            "6.1 DATA of nothing but padding",
            &[post(1), data(END_STREAM | PADDED, 1, "\x03\0\0\0")],
            Answer(1),
        ),
        case("6.1 DATA of no bytes", &[post(1), data(END_STREAM, 1, "")], Answer(1)),
        case("6.1 DATA on the connection", &[post(1), data(END_STREAM, 0, "x")], Ends(&[PROTOCOL])),
        case(
            "6.1 more padding than DATA",
            &[post(1), data(END_STREAM | PADDED, 1, "\x06xy")],
            Ends(&[PROTOCOL]),
        ),
        case(
            "6.1 padding without a length",
            &[post(1), data(END_STREAM | PADDED, 1, "")],
            Ends(&[PROTOCOL, FRAME_SIZE]),
        ),
        case("6.2 HEADERS on the connection", &[frame(HEADERS, WHOLE, 0, block(&GET))], Ends(&[PROTOCOL])),
        case(
            "6.2 HEADERS with padding",
            &[frame(HEADERS, WHOLE | PADDED, 1, [&[2], &block(&GET)[..], &[0, 0]].concat())],
            Answer(1),
        ),
        case(
            "6.2 more padding than HEADERS",
            &[frame(HEADERS, WHOLE | PADDED, 1, [&[255], &block(&GET)[..]].concat())],
            Ends(&[PROTOCOL]),
        ),
        case(
            "6.2 HEADERS with a priority",
            &[frame(HEADERS, WHOLE | WITH_PRIORITY, 1, [after(0), block(&GET)].concat())],
            Answer(1),
        ),
        case(
            "6.2 a priority that is cut",
            &[frame(HEADERS, WHOLE | WITH_PRIORITY, 1, [0; 3])],
            Ends(&[PROTOCOL, FRAME_SIZE]),
        ),
        case(
            "6.6 a promise of a client",
            &[post(1), frame(PUSH_PROMISE, 4, 1, [&[0, 0, 0, 2], &block(&GET)[..]].concat())],
            Ends(&[PROTOCOL]),
        ),
    ]
}

fn priorities_and_resets() -> Vec<Case> {
    vec![
        case("6.3 PRIORITY on the connection", &[frame(PRIORITY, 0, 0, after(1))], Ends(&[PROTOCOL])),
        case("6.3 a short PRIORITY", &[post(1), frame(PRIORITY, 0, 1, [0; 4])], Resets(1, &[FRAME_SIZE])),
        case("6.4 RST_STREAM on the connection", &[reset(0, 8)], Ends(&[PROTOCOL])),
        case("6.4 a short RST_STREAM", &[post(1), frame(RST_STREAM, 0, 1, [0; 3])], Ends(&[FRAME_SIZE])),
        case("6.4 a long RST_STREAM", &[post(1), frame(RST_STREAM, 0, 1, [0; 5])], Ends(&[FRAME_SIZE])),
        case("7 RST_STREAM for an unknown reason", &[post(1), reset(1, 0xff)], Alive),
    ]
}

fn settings() -> Vec<Case> {
    let late = Case {
        rule: "6.5.3 SETTINGS are said to be taken",
        bare: false,
        steps: vec![Send(set(&[(3, 100)])), Await(SETTINGS, 0)],
        expected: Alive,
    };
    vec![
        late,
        case("6.5 an ACK with content", &[frame(SETTINGS, ACK, 0, [0; 6])], Ends(&[FRAME_SIZE])),
        case("6.5 SETTINGS of a stream", &[frame(SETTINGS, 0, 1, [0, 3, 0, 0, 0, 9])], Ends(&[PROTOCOL])),
        case("6.5 a cut setting", &[frame(SETTINGS, 0, 0, [0, 3, 0])], Ends(&[FRAME_SIZE])),
        case("6.5.2 a table of no bytes", &[set(&[(1, 0)]), get(1)], Answer(1)),
        case("6.5.2 a huge table", &[set(&[(1, u32::MAX)]), get(1)], Answer(1)),
        case("6.5.2 ENABLE_PUSH of 0", &[set(&[(2, 0)]), get(1)], Answer(1)),
        case("6.5.2 ENABLE_PUSH of 2", &[set(&[(2, 2)])], Ends(&[PROTOCOL])),
        case("6.5.2 no streams for the server", &[set(&[(3, 0)]), get(1)], Answer(1)),
        case("6.5.2 a window beyond 2^31 - 1", &[set(&[(4, 1 << 31)])], Ends(&[FLOW_CONTROL])),
        case("6.5.2 frames below 2^14", &[set(&[(5, (1 << 14) - 1)])], Ends(&[PROTOCOL])),
        case("6.5.2 frames above 2^24 - 1", &[set(&[(5, 1 << 24)])], Ends(&[PROTOCOL])),
        case("6.5.2 an unknown setting", &[set(&[(0xff, 1)]), get(1)], Answer(1)),
        case("6.5.3 the last of two values counts", &[set(&[(4, 100), (4, 1)]), get(1)], Data(1)),
    ]
}

fn pings_and_ends() -> Vec<Case> {
    vec![
        case("6.7 a PING is answered", &[], Alive),
        case("6.7 an answer to a PING is not", &[frame(PING, ACK, 0, UNASKED)], Alive),
        case("6.7 a PING on a stream", &[get(1), frame(PING, 0, 1, SIGN)], Ends(&[PROTOCOL])),
        case("6.7 a short PING", &[frame(PING, 0, 0, [0; 6])], Ends(&[FRAME_SIZE])),
        case("6.7 a long PING", &[frame(PING, 0, 0, [0; 9])], Ends(&[FRAME_SIZE])),
        case("6.8 GOAWAY on a stream", &[get(1), frame(GOAWAY, 0, 1, [0; 8])], Ends(&[PROTOCOL])),
        case("6.8 a short GOAWAY", &[frame(GOAWAY, 0, 0, [0; 7])], Ends(&[FRAME_SIZE, PROTOCOL])),
        case(
            "6.8 what was asked before GOAWAY is answered",
            &[get(1), frame(GOAWAY, 0, 0, [0; 8])],
            Answer(1),
        ),
        case(
            "7 GOAWAY for an unknown reason",
            &[get(1), frame(GOAWAY, 0, 0, [0, 0, 0, 0, 0, 0, 0, 0xff])],
            Answer(1),
        ),
    ]
}

fn windows() -> Vec<Case> {
    let most = (1 << 31) - 1;
    vec![
        case("6.9 a connection is widened by nothing", &[widen(0, 0)], Ends(&[PROTOCOL])),
        case("6.9 a stream is widened by nothing", &[post(1), widen(1, 0)], Resets(1, &[PROTOCOL])),
        case("6.9 a short WINDOW_UPDATE", &[frame(WINDOW_UPDATE, 0, 0, [0; 3])], Ends(&[FRAME_SIZE])),
        case("6.9 a long WINDOW_UPDATE", &[frame(WINDOW_UPDATE, 0, 0, [1; 5])], Ends(&[FRAME_SIZE])),
        case(
            "6.9 a connection and a stream are widened",
            &[widen(0, 1000), post(1), widen(1, 1000), data(1, 1, "x")],
            Answer(1),
        ),
        case(
            "6.9.1 the window of a connection ends",
            &[widen(0, most), widen(0, most)],
            Ends(&[FLOW_CONTROL]),
        ),
        case(
            "6.9.1 the window of a stream ends",
            &[post(1), widen(1, most), widen(1, most)],
            Resets(1, &[FLOW_CONTROL]),
        ),
        case(
            "6.9.2 a setting leads a window over its end",
            &[post(1), widen(1, most - 65_535), set(&[(4, 65_536)])],
            Ends(&[FLOW_CONTROL]),
        ),
    ]
}

fn window_sizes() -> Vec<Case> {
    let narrow = |rule, steps: Vec<Step>, length| {
        let begun = [Send([set(&[(4, 3)]), get(1)].concat()), Await(DATA, 1)];
        Case { rule, bare: false, steps: begun.into_iter().chain(steps).collect(), expected: Data(length) }
    };
    vec![
        case("6.9.1 an answer keeps to its window", &[set(&[(4, 1)]), get(1)], Data(1)),
        case("6.9.1 no window, no DATA", &[set(&[(4, 0)]), get(1)], Answer(1)),
        narrow("6.9.1 a wider window", vec![Send(widen(1, 2))], 2),
        narrow("6.9.2 a wider window by a setting", vec![Send(set(&[(4, 5)]))], 2),
        narrow("6.9.2 a window below nothing", vec![Send([set(&[(4, 2)]), widen(1, 2)].concat())], 1),
    ]
}

fn continuations() -> Vec<Case> {
    let whole = block(&GET);
    let (first, rest) = whole.split_at(20);
    let (second, third) = rest.split_at(10);
    let begin = || frame(HEADERS, END_STREAM, 1, first);
    let end = || frame(CONTINUATION, END_HEADERS, 1, third);
    let then = |flags, stream, bytes: &[u8]| frame(CONTINUATION, flags, stream, bytes);
    vec![
        case("6.10 a block in three", &[begin(), then(0, 1, second), end()], Answer(1)),
        case(
            "6.10 a block in parts of which some are empty",
            &[begin(), then(0, 1, &[]), then(0, 1, second), end()],
            Answer(1),
        ),
        case(
            "6.10 DATA inside a block",
            &[frame(HEADERS, 0, 1, first), data(END_STREAM, 1, "x")],
            Ends(&[PROTOCOL]),
        ),
        case(
            "6.10 CONTINUATION on the connection",
            &[begin(), then(END_HEADERS, 0, rest)],
            Ends(&[PROTOCOL]),
        ),
        case(
            "6.10 CONTINUATION of another stream",
            &[begin(), then(END_HEADERS, 3, rest)],
            Ends(&[PROTOCOL]),
        ),
        case(
            "6.10 CONTINUATION after the end of HEADERS",
            &[post(1), then(END_HEADERS, 1, rest)],
            Ends(&[PROTOCOL]),
        ),
        case(
            "6.10 CONTINUATION after the end of the block",
            &[frame(HEADERS, 0, 1, first), then(END_HEADERS, 1, rest), then(4, 1, rest)],
            Ends(&[PROTOCOL]),
        ),
        case(
            "6.10 CONTINUATION after DATA",
            &[post(1), data(0, 1, "x"), then(END_HEADERS, 1, rest)],
            Ends(&[PROTOCOL]),
        ),
    ]
}

fn requests() -> Vec<Case> {
    let trailers = || frame(HEADERS, WHOLE, 1, block(&[("x-sum", "7")]));
    let head = |method| [(":method", method), GET[1], GET[2], GET[3]];
    vec![
        case("8.1 a GET", &[get(1)], Answer(1)),
        case("8.1 a HEAD", &[only(&head("HEAD"))], Answer(1)),
        case("8.1 a POST", &[post(1), data(END_STREAM, 1, "hello")], Answer(1)),
        case("8.1 an OPTIONS", &[only(&head("OPTIONS"))], Answer(1)),
        case("8.1 a POST with trailers", &[post(1), data(0, 1, "hello"), trailers()], Answer(1)),
        case("8.1 two at once", &[get(1), get(3)], Answer(3)),
        case("8.1 a tunnel is refused", &[only(&[(":method", "CONNECT"), GET[3]])], Resets(1, &[PROTOCOL])),
    ]
}

fn messages() -> Vec<Case> {
    let last = |fields: &[(&str, &str)]| frame(HEADERS, WHOLE, 1, block(fields));
    vec![
        case("8.1 HEADERS after HEADERS, and no end", &[post(1), post(1)], Resets(1, &[PROTOCOL])),
        case(
            "8.1 trailers that are no end",
            &[post(1), data(0, 1, "x"), frame(HEADERS, 4, 1, block(&[("x", "y")]))],
            Resets(1, &[PROTOCOL]),
        ),
        case(
            "8.1 DATA after trailers",
            &[post(1), last(&[("x", "y")]), data(END_STREAM, 1, "x")],
            Resets(1, &[STREAM_CLOSED]),
        ),
        case("8.1 a pseudo-field in trailers", &[post(1), last(&[(":path", "/")])], Resets(1, &[PROTOCOL])),
        case("8.2 capitals in a name", &[get_with(&[("X-Test", "y")])], Resets(1, &[PROTOCOL])),
        case("8.2 capitals in a trailer", &[post(1), last(&[("X-Test", "y")])], Resets(1, &[PROTOCOL])),
        case("8.2.1 a space in a name", &[get_with(&[("x y", "z")])], Resets(1, &[PROTOCOL])),
        case("8.2.1 a colon in a name", &[get_with(&[("x:y", "z")])], Resets(1, &[PROTOCOL])),
        case("8.2.1 a byte above 127 in a name", &[get_with(&[("x\u{e4}", "z")])], Resets(1, &[PROTOCOL])),
        case("8.2.1 an empty name", &[get_with(&[("", "z")])], Resets(1, &[PROTOCOL])),
        case("8.2.1 a NUL in a value", &[get_with(&[("x", "y\0z")])], Resets(1, &[PROTOCOL])),
        case("8.2.1 a CR in a value", &[get_with(&[("x", "y\rz")])], Resets(1, &[PROTOCOL])),
        case("8.2.1 an LF in a value", &[get_with(&[("x", "y\nz")])], Resets(1, &[PROTOCOL])),
    ]
}

fn pseudo_fields() -> Vec<Case> {
    let but = |name: &str, value| {
        let fields = GET.map(|(known, usual)| (known, if known == name { value } else { usual }));
        only(&fields)
    };
    vec![
        case(
            "8.3 an unknown pseudo-field",
            &[only(&[GET[0], GET[1], GET[2], GET[3], (":test", "x")])],
            Resets(1, &[PROTOCOL]),
        ),
        case(
            "8.3 a pseudo-field of answers",
            &[only(&[GET[0], GET[1], GET[2], GET[3], (":status", "200")])],
            Resets(1, &[PROTOCOL]),
        ),
        case(
            "8.3 a pseudo-field after another",
            &[only(&[GET[0], GET[1], GET[3], ("x", "y"), GET[2]])],
            Resets(1, &[PROTOCOL]),
        ),
        case("8.3.1 an empty path", &[but(":path", "")], Resets(1, &[PROTOCOL])),
        case("8.3.1 a path without a slash", &[but(":path", "x")], Resets(1, &[PROTOCOL])),
        case("8.3.1 a path with a space", &[but(":path", "/ x")], Resets(1, &[PROTOCOL])),
        case("8.3.1 an empty method", &[but(":method", "")], Resets(1, &[PROTOCOL])),
        case("8.3.1 a method with a space", &[but(":method", "GET /")], Resets(1, &[PROTOCOL])),
        case("8.3.1 a host with a user", &[but(":authority", "u@a.test")], Resets(1, &[PROTOCOL])),
        case("8.3.1 no method", &[get_without(":method")], Resets(1, &[PROTOCOL])),
        case("8.3.1 no scheme", &[get_without(":scheme")], Resets(1, &[PROTOCOL])),
        case("8.3.1 no path", &[get_without(":path")], Resets(1, &[PROTOCOL])),
        case("8.3.1 two methods", &[only(&[GET[0], GET[0], GET[1], GET[2], GET[3]])], Resets(1, &[PROTOCOL])),
        case("8.3.1 two schemes", &[only(&[GET[0], GET[1], GET[1], GET[2], GET[3]])], Resets(1, &[PROTOCOL])),
        case("8.3.1 two paths", &[only(&[GET[0], GET[1], GET[2], GET[2], GET[3]])], Resets(1, &[PROTOCOL])),
        case("8.3.1 two hosts", &[only(&[GET[0], GET[1], GET[2], GET[3], GET[3]])], Resets(1, &[PROTOCOL])),
        case(
            "8.5 a tunnel with a path",
            &[only(&[(":method", "CONNECT"), GET[1], GET[2], GET[3]])],
            Resets(1, &[PROTOCOL]),
        ),
        case(
            "RFC 8441, 3: an extended tunnel that was not offered",
            &[only(&[(":method", "CONNECT"), (":protocol", "websocket"), GET[1], GET[2], GET[3]])],
            Resets(1, &[PROTOCOL]),
        ),
    ]
}

fn fields_and_lengths() -> Vec<Case> {
    let sized = |length| {
        frame(HEADERS, END_HEADERS, 1, [block(&POST), block(&[("content-length", length)])].concat())
    };
    let own = [("connection", "keep-alive"), ("keep-alive", "5"), ("proxy-connection", "close")];
    let own = own.into_iter().chain([("transfer-encoding", "chunked"), ("upgrade", "h2c"), ("te", "gzip")]);
    let own = own
        .map(|field| case("8.2.2 a field of the connection", &[get_with(&[field])], Resets(1, &[PROTOCOL])));
    let others = [
        case("8.2.2 te: trailers", &[get_with(&[("te", "trailers")])], Answer(1)),
        case("8.1.1 a length that is right", &[sized("5"), data(END_STREAM, 1, "hello")], Answer(1)),
        case(
            "8.1.1 less than the length",
            &[sized("6"), data(END_STREAM, 1, "hello")],
            Resets(1, &[PROTOCOL]),
        ),
        case(
            "8.1.1 more than the length",
            &[sized("4"), data(END_STREAM, 1, "hello")],
            Resets(1, &[PROTOCOL]),
        ),
        case(
            "8.1.1 less than the length in two",
            &[sized("6"), data(0, 1, "he"), data(END_STREAM, 1, "llo")],
            Resets(1, &[PROTOCOL]),
        ),
        case(
            "8.1.1 more than the length in two",
            &[sized("4"), data(0, 1, "he"), data(END_STREAM, 1, "llo")],
            Resets(1, &[PROTOCOL]),
        ),
        case("8.1.1 a length and no body", &[get_with(&[("content-length", "1")])], Resets(1, &[PROTOCOL])),
        case(
            "8.1.1 a length that is none",
            &[sized("five"), data(END_STREAM, 1, "hello")],
            Resets(1, &[PROTOCOL]),
        ),
        case(
            "8.1.1 less than the length, and trailers",
            &[sized("6"), data(0, 1, "hello"), frame(HEADERS, WHOLE, 1, block(&[("x", "y")]))],
            Resets(1, &[PROTOCOL]),
        ),
    ];
    own.chain(others).collect()
}

fn compression() -> Vec<Case> {
    let then = |bytes: &[u8]| frame(HEADERS, WHOLE, 1, [&block(&GET), bytes].concat());
    let before = |bytes: &[u8]| frame(HEADERS, WHOLE, 1, [bytes, &block(&GET)].concat());
    // In Huffman's code `x: a` is 0xf3 (x, and a bit of padding) and 0x1f (a, and three); each behind its length.
    let name = [0x00, 0x81, 0xf3];
    let value =
        |bytes: &[u8]| then(&[&name[..], &[0x80 | u8::try_from(bytes.len()).unwrap()], bytes].concat());
    vec![
        case(
            "RFC 7541, C: names and values that are known",
            &[frame(HEADERS, WHOLE, 1, [&[0x82, 0x87, 0x84, 0x41, 6][..], b"a.test"].concat())],
            Answer(1),
        ),
        case("RFC 7541, 2.3.3: a field that is not in the tables", &[then(&[0xbe])], Ends(&[COMPRESSION])),
        case(
            "RFC 7541, 2.3.3: a name that is not in the tables",
            &[then(&[0x7e, 1, b'x'])],
            Ends(&[COMPRESSION]),
        ),
        case("RFC 7541, 4.2: a new size at the end of a block", &[then(&[0x20])], Ends(&[COMPRESSION])),
        case("RFC 7541, 4.2: a new size at the beginning", &[before(&[0x20])], Answer(1)),
        case(
            "RFC 7541, 5.1: a number without end",
            &[then(&[&[0x7f][..], &[0xff; 12], &[0x7f]].concat())],
            Ends(&[COMPRESSION]),
        ),
        case("RFC 7541, 5.2: Huffman's code", &[value(&[0x1f])], Answer(1)),
        case("RFC 7541, 5.2: more than 7 bits of padding", &[value(&[0x1f, 0xff])], Ends(&[COMPRESSION])),
        case("RFC 7541, 5.2: padding of other bits", &[value(&[0x18])], Ends(&[COMPRESSION])),
        case(
            "RFC 7541, 5.2: the end of a string in it",
            &[value(&[0x1f, 0xff, 0xff, 0xff, 0xff])],
            Ends(&[COMPRESSION]),
        ),
        case(
            "RFC 7541, 5.2: a string beyond the block",
            &[then(&[0x00, 0x01, b'x', 0x7e, b'y'])],
            Ends(&[COMPRESSION]),
        ),
        case("RFC 7541, 6.1: the field 0", &[then(&[0x80])], Ends(&[COMPRESSION])),
        case(
            "RFC 7541, 6.3: a table above the setting",
            &[before(&[0x3f, 0xe2, 0x1f])],
            Ends(&[COMPRESSION]),
        ),
        case(
            "RFC 7541, 2.2: the tables outlive a block that is refused",
            &[
                frame(HEADERS, WHOLE, 1, [&[0x40, 1, b'x', 1, b'y'][..], &block(&GET)].concat()),
                frame(HEADERS, WHOLE, 3, [&block(&GET)[..], &[0xbe]].concat()),
            ],
            Answer(3),
        ),
    ]
}
