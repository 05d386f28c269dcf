//! Panics, kept where they happen: caught at the top of every thread of the engine and of every call into it, and
//! told with the place in the source. None ends a thread silently, none crosses into the caller's language.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook};
use std::sync::Once;
use std::thread;

#[cfg(not(panic = "unwind"))]
compile_error!("a fault of one lesson would end the whole program: build with panic = \"unwind\"");

thread_local! {
    /// How many calls of [`contain`] this thread is within.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    /// What the hook noted of the panic that is on its way to [`contain`].
    static NOTED: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Do it; a panic is the error, as "message (file:line)".
///
/// What `act` changed may be half done after a panic: the caller throws it away. The text is for a log, so the hook
/// that would print it to standard error is kept from it; panics elsewhere in the process find theirs as it was.
pub fn contain<T>(act: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    // On its way out of a panic a thread may not change the hook.
    if !thread::panicking() {
        HOOK.call_once(note_what_is_contained);
    }
    DEPTH.set(DEPTH.get() + 1);
    let outcome = catch_unwind(AssertUnwindSafe(act));
    DEPTH.set(DEPTH.get() - 1);
    outcome.map_err(|panic| NOTED.take().unwrap_or_else(|| message(&*panic).to_owned()))
}

fn note_what_is_contained() {
    let before = take_hook();
    set_hook(Box::new(move |info| {
        if DEPTH.get() == 0 {
            before(info);
        } else {
            NOTED.set(Some(describe(info)));
        }
    }));
}

fn describe(info: &PanicHookInfo<'_>) -> String {
    let message = message(info.payload());
    info.location()
        .map_or_else(|| message.to_owned(), |place| format!("{message} ({}:{})", place.file(), place.line()))
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("panic")
}

#[cfg(test)]
mod tests {
    use super::contain;

    #[test]
    fn a_panic_is_an_error_that_says_where() {
        assert_eq!(contain(|| 5), Ok(5));
        let empty: [u8; 0] = [];
        let error = contain(|| empty[std::hint::black_box(3)]).expect_err("out of bounds");
        assert!(error.starts_with("index out of bounds"), "{error}");
        assert!(error.contains("fault.rs:"), "{error}");
        let error = contain(|| std::panic::panic_any(7)).expect_err("a panic");
        assert!(error.starts_with("panic (") && error.contains("fault.rs:"), "{error}");
    }

    #[test]
    fn one_within_another_is_its_own() {
        let outer = contain(|| {
            let inner = contain(|| panic!("within"));
            (inner.expect_err("a panic").starts_with("within (")).then(|| panic!("without"))
        });
        let error: Result<Option<()>, String> = outer;
        assert!(error.expect_err("a panic").starts_with("without ("));
        assert_eq!(contain(|| "and on"), Ok("and on"));
    }
}
