//! From a plain function into the flows and back: the runtime they live in, and Ctrl-C.

use std::future::Future;
use std::io;

use super::Interrupt;

/// Runs a flow to its end. Each Ctrl-C meanwhile asks `interrupt` once more and is told to `on_interrupt` with how often that
/// has happened.
///
/// # Errors
/// The system gives no threads or no timers.
pub fn block_on<T>(
    interrupt: &Interrupt,
    on_interrupt: impl Fn(u8) + Send + 'static,
    flow: impl Future<Output = T>,
) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let asked = interrupt.clone();
    runtime.spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            on_interrupt(asked.ask());
        }
    });
    let result = runtime.block_on(flow);
    // Nobody waits for a name lookup or a read of standard input that hangs.
    runtime.shutdown_background();
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_runs_to_its_end() {
        let interrupt = Interrupt::default();
        assert_eq!(block_on(&interrupt, |_| {}, async { 5 }).unwrap(), 5);
        assert_eq!(interrupt.level(), 0);
    }
}
