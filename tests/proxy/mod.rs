//! A TCP proxy between the program and a server that does to the link what links do: it is cut, held, slowed down or dripped
//! through, at an exact byte. It knows nothing of what it carries.

// Each test file is a crate of its own and uses the part it needs.
#![allow(dead_code, unreachable_pub, reason = "not every test file uses all of it")]

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// What happens to a connection. Up is from the program to the server.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fault {
    /// Once so many bytes went up.
    pub up: Option<u64>,
    /// Once so many bytes went down.
    pub down: Option<u64>,
    /// The link is not cut there, but nothing passes any more: for that the program is killed meanwhile.
    pub holds: bool,
    /// The connection waits so long before its first byte.
    pub delay: Duration,
    /// At most so many bytes pass at a time, with a millisecond between them.
    pub drip: Option<usize>,
}

/// A listening proxy. Dropping it cuts what it carries.
pub struct Proxy {
    /// Where it listens on 127.0.0.1.
    pub port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    target: SocketAddr,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// For the next connection; those after it are left alone.
    fault: Fault,
    /// How many connections there were.
    connections: usize,
    /// How much went up and down over the first of them since the last fault was set.
    carried: [u64; 2],
    /// Whether the fault has been met.
    is_met: bool,
    is_closed: bool,
    live: Vec<TcpStream>,
}

impl Proxy {
    /// Listens for connections that go on to `target`.
    pub fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let shared = Arc::new(Shared { target, state: Mutex::default(), changed: Condvar::new() });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                let shared = Arc::clone(&accepting);
                if shared.state.lock().unwrap().is_closed {
                    return;
                }
                std::thread::spawn(move || shared.carry(client));
            }
        });
        Self { port, shared }
    }

    /// Sets what happens to the next connection, and only to that.
    pub fn next(&self, fault: Fault) {
        let mut state = self.shared.state.lock().unwrap();
        *state = State { fault, live: std::mem::take(&mut state.live), ..State::default() };
    }

    /// How many bytes went up and down over the first connection after [`Proxy::next`].
    pub fn carried(&self) -> [u64; 2] {
        self.shared.state.lock().unwrap().carried
    }

    /// Whether the fault has happened.
    pub fn is_met(&self) -> bool {
        self.shared.state.lock().unwrap().is_met
    }

    /// Waits until the fault has happened; false if it has not within `limit`.
    pub fn wait(&self, limit: Duration) -> bool {
        let state = self.shared.state.lock().unwrap();
        self.shared.changed.wait_timeout_while(state, limit, |state| !state.is_met).unwrap().0.is_met
    }

    /// Cuts every connection that is open.
    pub fn cut(&self) {
        for stream in self.shared.state.lock().unwrap().live.drain(..) {
            // It may be gone already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.state.lock().unwrap().is_closed = true;
        self.cut();
        // Wakes the thread that accepts, so that it ends.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Shared {
    fn carry(self: Arc<Self>, client: TcpStream) {
        let (fault, is_first) = {
            let mut state = self.state.lock().unwrap();
            state.connections += 1;
            let is_first = state.connections == 1;
            (if is_first { state.fault } else { Fault::default() }, is_first)
        };
        std::thread::sleep(fault.delay);
        let Ok(server) = TcpStream::connect(self.target) else { return };
        let both = |stream: &TcpStream| stream.set_nodelay(true).and_then(|()| stream.try_clone());
        let (Ok(from), Ok(to)) = (both(&client), both(&server)) else { return };
        let clones = [client.try_clone(), server.try_clone()];
        self.state.lock().unwrap().live.extend(clones.into_iter().flatten());
        let down = Arc::clone(&self);
        let downward = std::thread::spawn(move || down.pump(server, client, 1, fault, is_first));
        self.pump(from, to, 0, fault, is_first);
        let _ = downward.join();
    }

    /// Carries one direction until its end or its fault.
    fn pump(&self, mut from: TcpStream, mut to: TcpStream, direction: usize, fault: Fault, counts: bool) {
        let limit = [fault.up, fault.down][direction];
        let mut passed = 0;
        let mut buffer = vec![0; fault.drip.unwrap_or(16 * 1024)];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let room = limit.map_or(count, |limit| count.min(usize::try_from(limit - passed).unwrap_or(count)));
            if to.write_all(&buffer[..room]).is_err() {
                break;
            }
            passed += room as u64;
            if counts {
                self.state.lock().unwrap().carried[direction] = passed;
            }
            if limit == Some(passed) {
                self.state.lock().unwrap().is_met = true;
                self.changed.notify_all();
                if fault.holds {
                    // Until the other side is gone; what comes until then is swallowed.
                    while matches!(from.read(&mut buffer), Ok(1..)) {}
                }
                break;
            }
            if fault.drip.is_some() {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        // Both directions: a link that is cut is cut for both.
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }
}
