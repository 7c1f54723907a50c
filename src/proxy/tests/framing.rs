//! How requests stand behind one another on a connection, and how large their heads may be. By which bytes one could be
//! taken for two is in `smuggling`.

use super::*;

#[tokio::test]
async fn what_is_too_large_is_said_and_ends_the_connection() {
    let (address, _target) = echo("a").await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
    let long = "b".repeat(9 * 1024);
    let huge = format!("A: {}\r\n", "b".repeat(7 * 1024)).repeat(6);
    for (target, fields, expected) in [
        ("", &*"A: b\r\n".repeat(101), "431"),
        ("", &format!("A: {long}\r\n"), "431"),
        ("", &huge, "431"),
        (&long, "", "414"),
        ("", "Content-Length: 999999999\r\n", "413"),
    ] {
        let answer = proxy.say(format!("POST /{target} HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected}")), "{target:.9} {fields:.9} gave {answer}");
        assert!(answer.contains("connection: close"), "{answer}");
    }
}

#[tokio::test]
async fn requests_in_one_piece_are_answered_in_order() {
    let (address, _target) = echo("a").await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
    let request = "\nGET /1 HTTP/1.1\nHost: a.test\n\nPOST /2 HTTP/1.1\nHost: a.test\nContent-Length: 5\n\nhello\
                   GET /3 HTTP/1.1\nHost: a.test\nConnection: close\n\n";
    let answer = proxy.say(request.replace('\n', "\r\n")).await;
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 3, "{answer}");
    let (one, two, three) = (answer.find("GET /1"), answer.find("POST /2"), answer.find("GET /3"));
    assert!(one.is_some() && one < two && two < three, "{answer}");
    assert!(answer.contains("5 bytes: hello"), "{answer}");
}

#[tokio::test]
async fn bytes_in_any_pieces_are_the_same_request() {
    let (address, _target) = echo("a").await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
    let request = b"POST /2 HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello";
    let mut stream = proxy.connect().await;
    stream.set_nodelay(true).unwrap();
    for _ in 0..2 {
        for byte in request {
            stream.write_all(&[*byte]).await.unwrap();
        }
        let (head, body) = read_answer(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 200") && body.contains("5 bytes: hello"), "{head}{body}");
    }
}
