//! The key-value store at which the processes of a job meet.

use std::ffi::{CString, c_void};
use std::time::Duration;

use tch::Tensor;

use super::ffi;
use crate::torch::ffi::check;
use crate::{Error, Result};

/// Where a job's store is, and how this process takes part in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreAddress {
    /// The host's name or address.
    pub host: String,
    /// Its TCP port.
    pub port: u16,
    /// Whether this process serves the store to the others; else it connects.
    pub serve: bool,
    /// Before every key: what an earlier attempt of the same job left under another prefix is not seen.
    pub prefix: String,
}

/// A connection to a store (PyTorch: `TCPStore` in a `PrefixStore`). A call that waits keeps other calls on the same
/// connection waiting.
#[derive(Debug)]
pub struct Store(*mut c_void);

// SAFETY: c10d's TCPStore takes a lock around every use of its connection, and its PrefixStore changes nothing after it is made.
unsafe impl Send for Store {}
// SAFETY: as above.
unsafe impl Sync for Store {}

impl Store {
    /// Connects, or serves and connects; tries as long as `timeout`.
    ///
    /// # Errors
    /// If nobody serves there in time, or the port is taken.
    pub fn connect(address: &StoreAddress, timeout: Duration) -> Result<Self> {
        let (host, prefix) = (c_string(&address.host)?, c_string(&address.prefix)?);
        let mut store = std::ptr::null_mut();
        // SAFETY: the strings live during the call, and `store` is a valid place for one pointer.
        check(unsafe {
            ffi::d2l_store_connect(
                host.as_ptr(),
                address.port,
                address.serve,
                milliseconds(timeout),
                prefix.as_ptr(),
                &mut store,
            )
        })?;
        Ok(Self(store))
    }

    /// Sets `key` to `value`.
    ///
    /// # Errors
    /// If the store is gone.
    pub fn set(&self, key: &str, value: &[u8]) -> Result<()> {
        let key = c_string(key)?;
        // SAFETY: the store is alive, and key and value during the call, which copies them.
        check(unsafe { ffi::d2l_store_set(self.0, key.as_ptr(), value.as_ptr(), value.len()) })
    }

    /// The value of `key`, once some process has set it.
    ///
    /// # Errors
    /// If it was not set within `timeout`, or the store is gone.
    pub fn get(&self, key: &str, timeout: Duration) -> Result<Vec<u8>> {
        let key = c_string(key)?;
        let mut value = std::ptr::null_mut();
        // SAFETY: the store is alive, the key during the call, and `value` is a valid place for one pointer.
        check(unsafe { ffi::d2l_store_get(self.0, key.as_ptr(), milliseconds(timeout), &mut value) })?;
        // SAFETY: on success csrc/ put a new tensor there; no one else has the pointer.
        let value = unsafe { Tensor::from_ptr(value) };
        Ok(Vec::try_from(value).expect("bytes of one dimension on the CPU"))
    }

    /// Whether `key` is set by now.
    ///
    /// # Errors
    /// If the store is gone.
    pub fn has(&self, key: &str) -> Result<bool> {
        let key = c_string(key)?;
        let mut there = false;
        // SAFETY: the store is alive, the key during the call, and `there` is a valid place for the answer.
        check(unsafe { ffi::d2l_store_check(self.0, key.as_ptr(), &mut there) })?;
        Ok(there)
    }

    /// For c10d's other classes, which take a reference of their own.
    pub(super) fn as_ptr(&self) -> *mut c_void {
        self.0
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // SAFETY: csrc/ made it, and it is freed once.
        unsafe { ffi::d2l_store_free(self.0) };
    }
}

/// A duration as c10d takes it; one that is too long for it is as long as can be.
pub(super) fn milliseconds(timeout: Duration) -> i64 {
    i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX)
}

fn c_string(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::usage(format!("{text:?} has a NUL in it"), "give text without NUL"))
}
