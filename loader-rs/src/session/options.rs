//! What a session is opened with, and what it says of itself.

use crate::{
    attach::{AttachOptions, Mode},
    error::Error,
};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenOptions {
    /// Usually `/sys/fs/bpf/mermin`; empty: nothing is pinned.
    pub pin_root: String,
    pub instance: String,
    pub flow_capacity: u32,
    pub event_capacity: u32,
    /// Percentage of used slots beyond which the kernel wakes us.
    pub high_water_percent: u32,
    /// See [`crate::netns::NetNs::open`].
    pub network_namespace: String,
    pub attach: AttachOptions,
    /// Whether flows are told apart by their VLAN id too.
    #[serde(default)]
    pub key_scope: KeyScope,
    /// For tests: how long a packet idles where its flow may be retired under it.
    #[serde(default)]
    pub race_window: u32,
}

/// What tells flows with equal addresses and ports apart.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum KeyScope {
    /// Nothing.
    #[default]
    None,
    /// The VLAN id.
    Vni,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenReport {
    /// What the table really holds: a pinned one keeps its size.
    pub capacity: u32,
    pub pinned: bool,
    /// Why it is not, or empty.
    pub pin_problem: String,
    /// The table was there already.
    pub reused: bool,
    /// Flows found in it.
    pub taken_over: u32,
    /// Records that an agent had which was killed before, and that nobody will have.
    pub killed: u64,
    /// Why connection tracking is not followed, or empty.
    pub conntrack_problem: String,
    /// Tables of other versions, which `prune` takes over.
    pub foreign: Vec<ForeignReport>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ForeignReport {
    pub path: String,
    /// Why its flows cannot be read and are dropped, or empty.
    pub problem: String,
}

/// What became of one interface.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Attached {
    Mode(Mode),
    Error(Error),
}
