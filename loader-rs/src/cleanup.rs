//! Removes what agents left that do not run any more.

use crate::{
    error::{Code, Error, Result},
    hooks,
    pins::{self, AttachmentName, Pins},
};
use aya::programs::tc::TcHandle;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Removes the attachments of another layout. Returns how many there were.
pub fn remove_attachments(layout: &Path, handle: TcHandle) -> Result<u32> {
    let mut removed = 0;
    for name in pins::list(layout).iter().filter_map(|file| AttachmentName::parse(file)) {
        hooks::remove_pinned(&layout.join(name.file_name()), &name, handle)?;
        removed += 1;
    }
    Ok(removed)
}

/// Removes the pins of another layout: attachments first. Returns how many attachments there were.
pub fn remove_layout(layout: &Path, handle: TcHandle) -> Result<u32> {
    let removed = remove_attachments(layout, handle)?;
    pins::list(layout).iter().try_for_each(|file| pins::unpin(&layout.join(file)))?;
    pins::remove_dir(layout)?;
    Ok(removed)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CleanupOptions {
    pub pin_root: String,
    /// Empty: all instances.
    pub instance: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CleanupReport {
    pub instances: Vec<String>,
    /// Left alone, because their agents run.
    pub running: Vec<String>,
    pub attachments: u32,
}

/// Removes what agents left: attachments, maps, directories. A named instance whose agent runs is an error.
pub fn cleanup(options: &CleanupOptions) -> Result<CleanupReport> {
    let root = PathBuf::from(&options.pin_root);
    let mut report = CleanupReport { instances: Vec::new(), running: Vec::new(), attachments: 0 };
    for instance in pins::list(&root) {
        if !options.instance.is_empty() && options.instance != instance {
            continue;
        }
        let pins = match Pins::open(&root, &instance) {
            Err(error) if error.code == Code::Locked && options.instance.is_empty() => {
                report.running.push(instance);
                continue;
            }
            pins => pins?,
        };
        for layout in pins.foreign_layouts().into_iter().chain([pins.layout.clone()]) {
            report.attachments += remove_layout(&layout, hooks::handle_of(&instance))?;
        }
        std::fs::create_dir_all(&pins.layout).map_err(|error| Error::io("cannot clean up", &error))?;
        pins.remove()?;
        report.instances.push(instance);
    }
    Ok(report)
}
