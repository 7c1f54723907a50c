//! `WebSocket`s between a client and a server of others' making (tungstenite), case by case as Autobahn's suite has them:
//! whatever both say to each other comes through whole and in order, and so does what one of them refuses.

use futures_util::{SinkExt, StreamExt};
use tokio::io::AsyncWrite;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::server::{Request as Asked, Response as Agreed};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async, client_async};

use super::secure::usual;
use super::*;

const MEBIBYTE: usize = 1 << 20;

/// A target that says back every message, answers pings and speaks the first protocol it is asked for.
#[expect(clippy::result_large_err, reason = "what refuses is the library's")]
async fn mirror() -> (SocketAddr, JoinSet<()>) {
    target(|stream| async move {
        let agree = |asked: &Asked, mut agreed: Agreed| {
            if let Some(protocol) = asked.headers().get("sec-websocket-protocol") {
                let first = protocol.to_str().unwrap().split(',').next().unwrap().parse().unwrap();
                agreed.headers_mut().insert("sec-websocket-protocol", first);
            }
            Ok(agreed)
        };
        let Ok(mut socket) = accept_hdr_async(stream, agree).await else { return };
        while let Some(Ok(message)) = socket.next().await {
            if message.is_text() || message.is_binary() {
                socket.send(message).await.unwrap();
            }
        }
        // What was said last has to come through.
        let _left = socket.close(None).await;
    })
    .await
}

type Socket<S> = WebSocketStream<S>;

async fn open<S: AsyncRead + AsyncWrite + Unpin>(stream: S) -> Socket<S> {
    let request = Request::get("ws://a.test/chat?x=y")
        .header("host", "a.test")
        .header("connection", "keep-alive, Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", generate_key())
        .header("sec-websocket-protocol", "one, two");
    let (socket, agreed) = client_async(request.body(()).unwrap(), stream).await.unwrap();
    assert_eq!(agreed.headers()["sec-websocket-protocol"], "one");
    socket
}

async fn next<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut Socket<S>) -> Option<Result<Message, Error>> {
    timeout(SURELY, socket.next()).await.expect("something comes")
}

/// Sends and receives at once: neither side may wait for the other.
async fn comes_back<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut Socket<S>, message: Message) {
    let (mut send, mut receive) = socket.split();
    let (gone, back) = tokio::join!(send.send(message.clone()), timeout(SURELY, receive.next()));
    gone.unwrap();
    let back = back.expect("something comes").unwrap().unwrap();
    assert!(back == message, "{} bytes came back as {}", message.len(), back.len());
}

#[tokio::test]
async fn messages_of_every_size_and_kind() {
    let (address, _target) = mirror().await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
    let mut plain = open(proxy.connect().await).await;
    let mut secure = open(proxy.greet(&usual(), "a.test").await.unwrap()).await;
    for size in [0, 1, 125, 126, 127, 128, 65_535, 65_536, 65_537, MEBIBYTE, 8 * MEBIBYTE] {
        let bytes: Vec<u8> = (0..=255).cycle().take(size).collect();
        comes_back(&mut plain, Message::binary(bytes.clone())).await;
        comes_back(&mut secure, Message::binary(bytes)).await;
        let text: String = "k\u{f3}\u{20ac}\u{10348}".chars().cycle().take(size / 4).collect();
        comes_back(&mut plain, Message::text(text.clone())).await;
        comes_back(&mut secure, Message::text(text)).await;
    }
}

#[tokio::test]
async fn many_small_messages_and_a_long_stream() {
    let (address, _target) = mirror().await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
    for (count, size) in [(2000, 3), (1000, 1000), (64, MEBIBYTE)] {
        let socket = open(proxy.connect().await).await;
        let (mut send, mut receive) = socket.split();
        let message = |number: usize| Message::binary(vec![u8::try_from(number % 251).unwrap(); size]);
        let sending = async {
            for number in 0..count {
                send.send(message(number)).await.unwrap();
            }
        };
        let receiving = async {
            for number in 0..count {
                let back = timeout(SURELY, receive.next()).await.expect("it goes on").unwrap().unwrap();
                assert!(back == message(number), "number {number} of {size} bytes");
            }
        };
        tokio::join!(sending, receiving);
    }
}

/// A frame in bytes, masked with zeros (RFC 6455, 5.2).
fn raw(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap();
    let length = match u8::try_from(length) {
        Ok(short @ ..=125) => vec![0x80 | short],
        _ => [&[0x80 | 0x7e][..], &length.to_be_bytes()].concat(),
    };
    [&[first][..], &length, &[0; 4], payload].concat()
}

#[tokio::test]
async fn fragments_and_pings_between_them() {
    let (address, _target) = mirror().await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
    let mut socket = open(proxy.connect().await).await;
    let frames =
        [raw(0x01, b"one, "), raw(0x89, b"a ping"), raw(0x00, b""), raw(0x8a, b"a pong"), raw(0x80, b"two")];
    let (whole, pieces) = (frames.concat(), frames.concat().into_iter().map(|byte| vec![byte]).collect());
    for parts in [vec![whole], frames.to_vec(), pieces] {
        for part in parts {
            socket.get_mut().write_all(&part).await.unwrap();
        }
        assert_eq!(next(&mut socket).await.unwrap().unwrap(), Message::Pong("a ping".into()));
        assert_eq!(next(&mut socket).await.unwrap().unwrap(), Message::text("one, two"));
    }
    for size in [0, 1, 125] {
        let bytes = vec![7; size];
        socket.send(Message::Ping(bytes.clone().into())).await.unwrap();
        assert_eq!(next(&mut socket).await.unwrap().unwrap(), Message::Pong(bytes.into()));
    }
}

#[tokio::test]
async fn what_the_server_refuses_ends_the_tunnel() {
    let (address, _target) = mirror().await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
    for (what, bytes) in [
        ("a reserved bit", raw(0xc1, b"x")),
        ("all reserved bits", raw(0xf1, b"x")),
        ("a reserved bit of a ping", raw(0xc9, b"x")),
        ("a reserved kind of message", raw(0x83, b"x")),
        ("a reserved kind of control", raw(0x8b, b"x")),
        ("a ping of 126 bytes", raw(0x89, &[0; 126])),
        ("a ping in fragments", raw(0x09, b"x")),
        ("the end of no message", raw(0x80, b"x")),
        ("a message inside another", [raw(0x01, b"x"), raw(0x81, b"y")].concat()),
        ("text that is none", raw(0x81, &[0xce, 0xba, 0xed, 0xa0, 0x80])),
        ("text that is none, in fragments", [raw(0x01, &[0xce]), raw(0x80, &[0x20])].concat()),
        ("half a close code", raw(0x88, &[3])),
        ("a close code that is none", raw(0x88, &999_u16.to_be_bytes())),
        ("a reason that is no text", raw(0x88, &[3, 0xe8, 0xff])),
    ] {
        let mut socket = open(proxy.connect().await).await;
        comes_back(&mut socket, Message::text("before")).await;
        socket.get_mut().write_all(&bytes).await.unwrap();
        let mut rest = Vec::new();
        let _reset = timeout(SURELY, socket.get_mut().read_to_end(&mut rest)).await.expect("it ends");
        assert!(rest.is_empty() || rest[0] == 0x88, "{what} gave {rest:?}");
    }
}

#[tokio::test]
async fn closing_words_come_through() {
    let (address, _target) = mirror().await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
    for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 4999] {
        let mut socket = open(proxy.connect().await).await;
        let words = CloseFrame { code: CloseCode::from(code), reason: "goodbye".into() };
        socket.close(Some(words.clone())).await.unwrap();
        let Some(Ok(Message::Close(Some(back)))) = next(&mut socket).await else {
            panic!("{code} is not answered")
        };
        assert_eq!(back.code, words.code);
        assert!(next(&mut socket).await.is_none(), "{code}");
    }
    assert_eq!(proxy.link.drain(&address.to_string(), SURELY).await.unwrap().left, 0);
}

#[tokio::test]
async fn a_refused_upgrade_is_an_answer() {
    let (address, _target) = target(|mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno").await.unwrap();
    })
    .await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
    let refused = client_async("ws://a.test/", proxy.connect().await).await.expect_err("it is refused");
    assert!(matches!(&refused, Error::Http(answer) if answer.status() == 403), "{refused}");
}
