//! The key-value store at which the processes of a job meet.

use std::ffi::CString;
use std::ptr::NonNull;
use std::time::Duration;

use tch::Tensor;
use tch_extra::ffi::{Handle, Made, Outcome, Text, new_tensor};
use torch_sys::C_tensor;

use crate::{Error, Result};

/// `tchx_store`.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Connection([u8; 0]);

unsafe extern "C" {
    safe fn tchx_store_connect(
        host: Text,
        port: u16,
        serve: bool,
        timeout_ms: i64,
        prefix: Text,
        store: &mut Made<Connection>,
    ) -> Outcome;
    fn tchx_store_free(store: NonNull<Connection>);
    fn tchx_store_set(store: &Connection, key: Text, value: *const u8, length: usize) -> Outcome;
    safe fn tchx_store_get(
        store: &Connection,
        key: Text,
        timeout_ms: i64,
        value: &mut Made<C_tensor>,
    ) -> Outcome;
    safe fn tchx_store_check(store: &Connection, key: Text, there: &mut bool) -> Outcome;
}

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
pub struct Store(pub(super) Handle<Connection>);

// SAFETY: c10d's TCPStore takes a lock around every use of its connection, and its PrefixStore changes nothing after it is made.
unsafe impl Send for Store {}
// SAFETY: as above.
unsafe impl Sync for Store {}

impl Store {
    /// Connects, or serves and connects; tries as long as `timeout`.
    ///
    /// # Errors
    /// If nobody serves there in time, or the port is taken. It waits without end for a server that takes the connection and says nothing.
    pub fn connect(address: &StoreAddress, timeout: Duration) -> Result<Self> {
        let (host, prefix) = (c_string(&address.host)?, c_string(&address.prefix)?);
        let (host, prefix) = (host.as_c_str(), prefix.as_c_str());
        let timeout = milliseconds(timeout);
        let store = Handle::new(tchx_store_free, |store| {
            tchx_store_connect(host.into(), address.port, address.serve, timeout, prefix.into(), store)
        })?;
        Ok(Self(store))
    }

    /// Sets `key` to `value`.
    ///
    /// # Errors
    /// If the store is gone.
    pub fn set(&self, key: &str, value: &[u8]) -> Result<()> {
        let key = c_string(key)?;
        // SAFETY: the value has as many bytes, which are copied.
        unsafe { tchx_store_set(&self.0, key.as_c_str().into(), value.as_ptr(), value.len()) }.check()?;
        Ok(())
    }

    /// The value of `key`, once some process has set it.
    ///
    /// # Errors
    /// If it was not set within `timeout`, or the store is gone.
    pub fn get(&self, key: &str, timeout: Duration) -> Result<Vec<u8>> {
        let key = c_string(key)?;
        let get =
            |value: &mut _| tchx_store_get(&self.0, key.as_c_str().into(), milliseconds(timeout), value);
        let value: Tensor = new_tensor(get)?;
        Ok(Vec::try_from(value).expect("bytes of one dimension on the CPU"))
    }

    /// Whether `key` is set by now.
    ///
    /// # Errors
    /// If the store is gone.
    pub fn has(&self, key: &str) -> Result<bool> {
        let key = c_string(key)?;
        let mut there = false;
        tchx_store_check(&self.0, key.as_c_str().into(), &mut there).check()?;
        Ok(there)
    }
}

/// A duration as c10d takes it, 24 days at most: libtorch adds it to the time of day.
pub(super) fn milliseconds(timeout: Duration) -> i64 {
    i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX).into()
}

fn c_string(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::Nul(text.to_owned()))
}
