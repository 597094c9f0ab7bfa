//! Network namespaces and the interfaces in them.

use crate::error::{Code, Error, Result};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    env,
    ffi::CStr,
    fs::{self, File},
    io, mem,
    net::{Ipv4Addr, Ipv6Addr},
    os::{fd::AsRawFd as _, unix::fs::MetadataExt as _},
    path::PathBuf,
    ptr, thread,
};

const OWN: &str = "/proc/self/ns/net";
/// Of the first process, which is the host's where the host's processes are visible.
const HOST: &str = "/proc/1/ns/net";
/// Names a file that stands for `HOST` where the host's processes are hidden, as in a pod without hostPID.
const HOST_ELSEWHERE: &str = "MERMIN_HOST_NETNS";
/// Kubernetes sets it in every container of a pod.
const IN_A_POD: &str = "KUBERNETES_SERVICE_HOST";
/// Where `ip netns` keeps its namespaces.
const NAMED: &str = "/run/netns";

/// Where interfaces are looked for. Work in another namespace runs on a thread of its own, because a namespace belongs
/// to a thread: JavaScript's never changes.
pub struct NetNs {
    target: Option<File>,
    pub inode: u64,
}

impl NetNs {
    /// `setting`: `self`, `host`, the path of a namespace, or `auto`, which is the host's in a pod and else our own. On a
    /// plain host in a container `auto` stays inside: nobody has asked for the host's interfaces.
    pub fn open(setting: &str) -> Result<Self> {
        let host = env::var(HOST_ELSEWHERE).ok().filter(|path| !path.is_empty());
        let host = host.as_deref().unwrap_or(HOST);
        let name = match setting {
            "self" => OWN,
            "host" => host,
            "auto" if env::var_os(IN_A_POD).is_some() => host,
            "auto" => OWN,
            path => path,
        };
        let (file, inode) = open_file(name).map_err(|error| Error {
            message: format!("cannot open network namespace {name}: {}{}", error.message, advice_for(name == host)),
            ..error
        })?;
        let (_, own_inode) = open_file(OWN)?;
        Ok(Self { target: (inode != own_inode).then_some(file), inode })
    }

    /// The namespace with this inode among our own, those of `ip netns`, and those of all processes.
    /// `None`: there is none, most likely because it is gone.
    pub fn find(inode: u64) -> Result<Option<Self>> {
        let entries = |path| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
        let processes = entries("/proc").map(|process| process.join("ns/net"));
        for path in [PathBuf::from("self")].into_iter().chain(entries(NAMED)).chain(processes) {
            match Self::open(&path.to_string_lossy()) {
                Ok(netns) if netns.inode == inode => return Ok(Some(netns)),
                // Not readable for us, or gone since it was listed: then it is not the one.
                _ => {}
            }
        }
        Ok(None)
    }

    /// Runs `work` inside the namespace.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let Some(target) = &self.target else {
            return work();
        };
        thread::scope(|scope| {
            thread::Builder::new()
                .spawn_scoped(scope, || {
                    // SAFETY: a valid descriptor of a namespace; only this thread moves.
                    if unsafe { libc::setns(target.as_raw_fd(), libc::CLONE_NEWNET) } != 0 {
                        return Err(Error::last_os("cannot enter the network namespace (needs CAP_SYS_ADMIN)"));
                    }
                    work()
                })
                .map_err(|error| Error::io("cannot start a thread for the network namespace", &error))?
                .join()
                .map_err(|_| Error::new(Code::System, "the thread in the network namespace ended early"))?
        })
    }
}

fn open_file(name: &str) -> Result<(File, u64)> {
    let open = || {
        let file = File::open(name)?;
        let inode = file.metadata()?.ino();
        Ok((file, inode))
    };
    open().map_err(|error: io::Error| Error::new(Code::NotFound, error.to_string()))
}

fn advice_for(is_host: bool) -> &'static str {
    if is_host {
        "; a pod needs hostPID (or the host's /proc/1/ns, and its net in MERMIN_HOST_NETNS) and CAP_SYS_PTRACE for it; discovery.instrument.network_namespace = \"self\" watches its own"
    } else {
        "; discovery.instrument.network_namespace names it"
    }
}

#[derive(Debug, Serialize)]
pub struct Interface {
    pub name: String,
    pub index: u32,
    /// Lower-case, colon-separated; empty when the link has no such address.
    pub mac: String,
    pub up: bool,
    /// Frames start with an Ethernet header (ARPHRD_ETHER, ARPHRD_LOOPBACK).
    pub ethernet: bool,
    pub addresses: Vec<String>,
    /// Our programs hang on it.
    pub attached: bool,
}

/// The interfaces of the current thread's namespace.
pub fn interfaces() -> Result<Vec<Interface>> {
    let mut addresses = addresses()?;
    let socket = ControlSocket::open()?;
    let mut found = Vec::new();
    for (index, name) in names()? {
        // An interface may vanish between the list and the questions.
        let (Ok(flags), Ok((kind, mac))) = (socket.flags(&name), socket.hardware(&name)) else {
            continue;
        };
        let ethernet = kind == libc::ARPHRD_ETHER || kind == libc::ARPHRD_LOOPBACK;
        found.push(Interface {
            addresses: addresses.remove(&name).unwrap_or_default(),
            index,
            mac: if ethernet { mac_text(mac) } else { String::new() },
            up: flags & libc::IFF_UP as i16 != 0,
            ethernet,
            name,
            attached: false,
        });
    }
    Ok(found)
}

/// The addresses of the current thread's namespace, but those of the loopback, which is always called so.
pub fn host_addresses() -> Result<Vec<String>> {
    Ok(interfaces()?.into_iter().filter(|interface| interface.name != "lo").flat_map(|found| found.addresses).collect())
}

fn mac_text(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

fn names() -> Result<Vec<(u32, String)>> {
    // SAFETY: the list ends with an entry whose index is 0, and is freed once.
    unsafe {
        let list = libc::if_nameindex();
        if list.is_null() {
            return Err(Error::last_os("cannot list interfaces"));
        }
        let mut names = Vec::new();
        let mut entry = list;
        while (*entry).if_index != 0 {
            names.push(((*entry).if_index, CStr::from_ptr((*entry).if_name).to_string_lossy().into_owned()));
            entry = entry.add(1);
        }
        libc::if_freenameindex(list);
        Ok(names)
    }
}

fn addresses() -> Result<BTreeMap<String, Vec<String>>> {
    let mut by_name = BTreeMap::<String, Vec<String>>::new();
    // SAFETY: getifaddrs makes a list that ends with null; an address is read as what its family says.
    unsafe {
        let mut list = ptr::null_mut();
        if libc::getifaddrs(&mut list) != 0 {
            return Err(Error::last_os("cannot list addresses"));
        }
        let mut entry = list;
        while !entry.is_null() {
            let address = (*entry).ifa_addr;
            if !address.is_null() {
                let text = match i32::from((*address).sa_family) {
                    libc::AF_INET => {
                        let address = ptr::read_unaligned(address.cast::<libc::sockaddr_in>());
                        Some(Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr)).to_string())
                    }
                    libc::AF_INET6 => {
                        let address = ptr::read_unaligned(address.cast::<libc::sockaddr_in6>());
                        Some(Ipv6Addr::from(address.sin6_addr.s6_addr).to_string())
                    }
                    _ => None,
                };
                // An IPv4 address with a label is listed under that, such as eth0:1; no interface's name has a colon.
                let label = CStr::from_ptr((*entry).ifa_name).to_string_lossy();
                let name = label.split(':').next().unwrap_or(&label);
                by_name.entry(name.into()).or_default().extend(text);
            }
            entry = (*entry).ifa_next;
        }
        libc::freeifaddrs(list);
    }
    Ok(by_name)
}

struct ControlSocket(i32);

impl ControlSocket {
    fn open() -> Result<Self> {
        // SAFETY: makes a descriptor.
        let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
        if fd < 0 { Err(Error::last_os("cannot open a socket")) } else { Ok(Self(fd)) }
    }

    fn ask(&self, request: libc::c_ulong, name: &str) -> io::Result<libc::ifreq> {
        // SAFETY: ifreq is plain; the name is shorter than its field and stays zero-terminated.
        unsafe {
            let mut question: libc::ifreq = mem::zeroed();
            for (to, from) in question.ifr_name.iter_mut().take(libc::IFNAMSIZ - 1).zip(name.bytes()) {
                *to = from as libc::c_char;
            }
            if libc::ioctl(self.0, request, &mut question) == 0 {
                Ok(question)
            } else {
                Err(io::Error::last_os_error())
            }
        }
    }

    fn flags(&self, name: &str) -> io::Result<i16> {
        // SAFETY: SIOCGIFFLAGS fills this member.
        self.ask(libc::SIOCGIFFLAGS, name).map(|answer| unsafe { answer.ifr_ifru.ifru_flags })
    }

    fn hardware(&self, name: &str) -> io::Result<(u16, [u8; 6])> {
        let answer = self.ask(libc::SIOCGIFHWADDR, name)?;
        // SAFETY: SIOCGIFHWADDR fills this member.
        let address = unsafe { answer.ifr_ifru.ifru_hwaddr };
        let mut mac = [0; 6];
        for (to, from) in mac.iter_mut().zip(address.sa_data) {
            *to = from as u8;
        }
        Ok((address.sa_family, mac))
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // SAFETY: our own descriptor.
        unsafe { libc::close(self.0) };
    }
}

/// The name of an interface of the current thread's namespace, if it is there.
pub fn name_of(index: u32) -> Result<Option<String>> {
    let mut name = [0; libc::IF_NAMESIZE];
    // SAFETY: as many bytes as the call may fill, with a zero at the end.
    unsafe {
        if libc::if_indextoname(index, name.as_mut_ptr()).is_null() {
            let error = io::Error::last_os_error();
            let gone = matches!(error.raw_os_error(), Some(libc::ENXIO | libc::ENODEV));
            return if gone { Ok(None) } else { Err(Error::io("cannot ask for an interface", &error)) };
        }
        Ok(Some(CStr::from_ptr(name.as_ptr()).to_string_lossy().into_owned()))
    }
}

/// Whether frames of this interface start with an Ethernet header.
pub fn is_ethernet(name: &str) -> Result<bool> {
    let socket = ControlSocket::open()?;
    let (kind, _) = socket
        .hardware(name)
        .map_err(|error| Error::io(format!("cannot ask for the link type of {name:?}"), &error))?;
    Ok(kind == libc::ARPHRD_ETHER || kind == libc::ARPHRD_LOOPBACK)
}
