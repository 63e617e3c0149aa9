use super::*;
use crate::postgres::connect::transport::bounded_stream::ServerStream;
use crate::postgres::connect::transport::copied_rows::{ENOUGH, TakenRows};
use crate::postgres::connect::transport::gauge::{Gauge, MessageExcess};
use std::collections::VecDeque;
use std::task::Waker;

/// Plays the socket: each read gives one piece or what fits of it.
struct Pieces(VecDeque<Vec<u8>>);

impl AsyncRead for Pieces {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Some(mut piece) = self.0.pop_front() else { return Poll::Ready(Ok(())) };
        let rest = piece.split_off(piece.len().min(buffer.remaining()));
        buffer.put_slice(&piece);
        if !rest.is_empty() {
            self.0.push_front(rest);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pieces {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl ServerStream for Pieces {
    fn binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &(body.len() as u32 + 4).to_be_bytes(), body].concat()
}

fn tap(pieces: impl IntoIterator<Item = Vec<u8>>, expected: bool) -> (CopyTap, CopiedRows) {
    let copied = CopiedRows::default();
    copied.lock().expect(expected);
    let stream = BoundedStream::new(Pieces(pieces.into_iter().collect()), Gauge::new("db:5432".to_owned()));
    (CopyTap::new(stream, copied.clone()), copied)
}

/// Everything that comes through a tap to both sides.
#[derive(Debug, Default, PartialEq, Eq)]
struct Passed {
    to_driver: Vec<u8>,
    /// The rows of each statement, with what the driver had when they ended.
    copies: Vec<(Vec<u8>, usize)>,
}

/// Reads to the end, as a driver would with a buffer of this size.
fn read_all(pieces: impl IntoIterator<Item = Vec<u8>>, room: usize, expected: bool) -> io::Result<Passed> {
    let (mut tap, copied) = tap(pieces, expected);
    let (mut passed, mut rows, mut room) = (Passed::default(), Vec::new(), vec![0; room]);
    loop {
        let mut buffer = ReadBuf::new(&mut room);
        let read = Pin::new(&mut tap).poll_read(&mut Context::from_waker(Waker::noop()), &mut buffer);
        passed.to_driver.extend_from_slice(buffer.filled());
        let mut taken = false;
        while let Some(what) = { copied.lock().take(&mut rows) } {
            taken = true;
            assert!(rows.is_empty() || rows.ends_with(b"\n"), "a part of a row");
            if what == TakenRows::End {
                passed.copies.push((std::mem::take(&mut rows), passed.to_driver.len()));
            }
        }
        match read {
            Poll::Ready(Ok(())) if buffer.filled().is_empty() => return Ok(passed),
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => return Err(error),
            Poll::Pending => assert!(taken, "it waits for nothing"),
        }
    }
}

/// Returns what a server sends for three statements, of which the last has no rows, and what of it is for whom.
fn conversation() -> (Vec<u8>, Passed) {
    let (mut stream, mut passed) = (Vec::new(), Passed::default());
    let mut send = |passed: &mut Passed, kind: u8, body: &[u8]| {
        let sent = message(kind, body);
        if !b"Hdc".contains(&kind) {
            passed.to_driver.extend_from_slice(&sent);
        }
        stream.extend(sent);
    };
    send(&mut passed, b'R', &[0; 4]);
    send(&mut passed, b'Z', b"I");
    for statement in [&[&b"1\ta\n"[..], b"2\t\\N\n", b"\n"][..], &[b"3\tdHc\x00\xff\n"], &[]] {
        send(&mut passed, b'H', &[0, 0, 2, 0, 0, 0, 0]);
        for row in statement {
            send(&mut passed, b'd', row);
            send(&mut passed, b'N', b"SNOTICE\0VNOTICE\0C00000\0Mdone\0\0");
        }
        passed.copies.push((statement.concat(), passed.to_driver.len()));
        send(&mut passed, b'c', b"");
        send(&mut passed, b'C', b"COPY 2\0");
    }
    send(&mut passed, b'Z', b"I");
    (stream, passed)
}

#[test]
fn rows_are_taken_out_however_the_network_cuts_the_stream() {
    let (stream, expected) = conversation();
    for cut in 0..=stream.len() {
        let (first, second) = stream.split_at(cut);
        let pieces = [first, second].into_iter().filter(|piece| !piece.is_empty()).map(<[u8]>::to_vec);
        assert_eq!(read_all(pieces, 8192, true).unwrap(), expected, "cut at {cut}");
    }
    for size in 1..=stream.len() {
        for room in [1, 2, 5, 13, 8192] {
            let pieces = stream.chunks(size).map(<[u8]>::to_vec);
            assert_eq!(read_all(pieces, room, true).unwrap(), expected, "pieces of {size}, reads of {room}");
        }
    }
}

#[test]
fn rows_that_nobody_has_asked_for_are_left_to_the_driver() {
    let (stream, _) = conversation();
    let passed = read_all([stream.clone()], 8192, false).unwrap();
    assert_eq!(passed, Passed { to_driver: stream, copies: Vec::new() });
}

#[test]
fn nothing_more_is_read_while_rows_wait_to_be_taken() {
    let row = message(b'd', &[&[b'x'; 999][..], b"\n"].concat());
    let begin = [message(b'Z', b"I"), message(b'H', &[0; 7])].concat();
    let (mut tap, copied) = tap(std::iter::once(begin).chain(std::iter::repeat_n(row, 5000)), true);
    let mut room = [0; 100];
    let mut poll = || {
        let mut buffer = ReadBuf::new(&mut room);
        Pin::new(&mut tap).poll_read(&mut Context::from_waker(Waker::noop()), &mut buffer).is_ready()
    };
    assert!(poll(), "what is for the driver comes first");
    let mut all = 0;
    loop {
        let over = (0..3).any(|_| poll());
        let heard = copied.lock().heard as usize;
        assert!(heard < all + all / 100 + ENOUGH + READ + 100_000, "{heard} bytes were read, {all} taken");
        let mut rows = Vec::new();
        assert_eq!(copied.lock().take(&mut rows), Some(TakenRows::Rows));
        all += rows.len();
        if over {
            assert_eq!(all, 5_000_000);
            return;
        }
    }
}

#[test]
fn the_memory_of_a_row_is_what_has_come_of_it_and_not_what_its_header_claims() {
    let long = [&vec![b'x'; 20 << 20][..], b"\n"].concat();
    let claim = [&[b'd'][..], &0x7fff_ffff_u32.to_be_bytes(), b"some"].concat();
    let (mut tap, copied) = tap([message(b'Z', b"I"), message(b'd', &long), claim], true);
    let (mut rows, mut room) = (Vec::new(), [0; 100]);
    for _ in 0..5 {
        let mut buffer = ReadBuf::new(&mut room);
        let _ = Pin::new(&mut tap).poll_read(&mut Context::from_waker(Waker::noop()), &mut buffer);
        copied.lock().take(&mut rows);
    }
    assert!(rows == long, "{} bytes", rows.len());
    let mut rest = Vec::new();
    copied.lock().end_row();
    copied.lock().take(&mut rest);
    assert_eq!(rest, b"some");
    assert!(rest.capacity() < 2 << 20, "{}", rest.capacity());
}

#[test]
fn messages_that_no_server_sends_end_the_stream() {
    for bad in [&[b'd', 0, 0, 0, 3][..], &[b'd', 0x80, 0, 0, 0], &[b'H', 0x7f, 0, 0, 0], b"W\0\0\0\x04"] {
        let error = read_all([message(b'Z', b"I"), bad.to_vec()], 100, true).unwrap_err();
        assert!(MessageExcess::of(&error).is_some(), "{error}");
    }
}
