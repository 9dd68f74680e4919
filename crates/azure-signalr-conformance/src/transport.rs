//! Server-Sent Events: a stream of bytes into the data of each event.

/// Splits what has come so far; what is not whole yet stays.
#[derive(Default)]
pub(crate) struct Events {
    pending: Vec<u8>,
}

impl Events {
    /// Takes the next bytes; returns the data of the events that are whole now. Lines without data are comments or names.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Vec<String> {
        self.pending.extend_from_slice(bytes);
        let mut events = Vec::new();
        while let Some((end, length)) = blank_line(&self.pending) {
            let event: Vec<u8> = self.pending.drain(..end + length).take(end).collect();
            events.extend(data(&String::from_utf8_lossy(&event)));
        }
        events
    }
}

/// Where an event ends, and how long its end is.
fn blank_line(bytes: &[u8]) -> Option<(usize, usize)> {
    let ends = [&b"\r\n\r\n"[..], b"\n\n", b"\r\r"];
    ends.iter()
        .filter_map(|end| Some((bytes.windows(end.len()).position(|window| window == *end)?, end.len())))
        .min()
}

fn data(event: &str) -> Option<String> {
    let lines: Vec<&str> = event
        .lines()
        .filter_map(|line| line.strip_prefix("data:"))
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_out_whole_however_they_are_cut() {
        let stream = b":\r\ndata: {}\x1e\r\n\r\ndata: a\r\ndata: b\r\n\r\n:\n\nevent: x\ndata:c\n\n";
        let expected = ["{}\x1e", "a\nb", "c"];
        for size in 1..stream.len() {
            let mut events = Events::default();
            let came: Vec<String> = stream.chunks(size).flat_map(|bytes| events.read(bytes)).collect();
            assert_eq!(came, expected, "in pieces of {size}");
        }
    }

    #[test]
    fn half_an_event_is_none() {
        let mut events = Events::default();
        assert!(events.read(b"data: x\r\n").is_empty());
        assert_eq!(events.read(b"\r\n"), ["x"]);
    }
}
