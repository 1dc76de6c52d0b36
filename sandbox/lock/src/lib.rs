//! How a process gives up everything, step by step: for child processes that handle what nobody has to trust.
//!
//! # Layout
//! 1. [`begin`]: no descriptor but the socket, no core dumps, no new privileges.
//! 2. [`seal`], when everything is loaded and no thread was started: no capability, nobody may look into its memory, and
//!    Landlock, where the kernel has it, keeps this thread and all that it starts from files, the network, and other processes.
//! 3. [`finish`], when every thread has been started: a filter that lets only those system calls pass which computing
//!    needs: memory, waiting, and the descriptors that are open.
//! 4. [`prove`]: it tries what it must not be able to do.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io,
    net::{TcpListener, TcpStream, UdpSocket},
    os::unix::net::UnixStream,
    process::Command,
    thread,
};

use landlock::{ABI, Access as _, AccessFs, AccessNet, Ruleset, RulesetAttr as _, RulesetStatus, Scope};
use rustix::{
    io::Errno,
    process::{DumpableBehavior, Resource, Rlimit, getpid, set_dumpable_behavior, setrlimit},
    thread::{CapabilitySet, CapabilitySets, set_capabilities, set_no_new_privs},
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen::Dword, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

/// Why the kernel did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// A system call failed.
    #[error(transparent)]
    Call(#[from] Errno),
    /// Landlock failed.
    #[error("Landlock: {0}")]
    Landlock(#[from] landlock::RulesetError),
    /// The filter of system calls cannot be made.
    #[error("the filter of system calls: {0}")]
    Filter(#[from] seccompiler::BackendError),
    /// The filter of system calls was not taken.
    #[error("the filter of system calls: {0}")]
    Seccomp(#[from] seccompiler::Error),
}

/// The newest Landlock that was tried; the kernel may have an older one.
const LANDLOCK: ABI = ABI::V7;
/// `ioctl(PAGEMAP_SCAN)`: which of its own pages an instance wrote to.
const PAGEMAP_SCAN: u64 = 0xc060_6610;

/// Checks that this process has inherited nothing but its three streams and a copy of one of them, `socket`. It leaves no
/// core dump and gains no privilege from then on.
///
/// # Errors
/// When it inherited another descriptor, or the kernel refuses.
pub fn begin(socket: &UnixStream) -> io::Result<()> {
    use std::os::fd::AsRawFd as _;
    if let Some(inherited) = descriptors()?.into_iter().find(|fd| *fd > 2 && *fd != socket.as_raw_fd()) {
        return Err(io::Error::other(format!("it inherited the descriptor {inherited}")));
    }
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    Ok(set_no_new_privs(true)?)
}

/// The descriptors of this process.
fn descriptors() -> io::Result<Vec<i32>> {
    let folder = fs::read_dir("/proc/self/fd")?;
    let names = folder.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
    let fds = names.iter().filter_map(|name| name.to_str()?.parse().ok());
    // One of them was the folder itself.
    Ok(fds.filter(|fd| fs::read_link(format!("/proc/self/fd/{fd}")).is_ok()).collect())
}

/// Limits the memory of this process, its program included, to so many bytes: more cannot be had. To be called before
/// [`finish`], which takes away the right to change limits.
///
/// # Errors
/// When the kernel refuses.
pub fn limit_memory(bytes: u64) -> io::Result<()> {
    Ok(setrlimit(Resource::As, Rlimit { current: Some(bytes), maximum: Some(bytes) })?)
}

/// Gives up files, the network, other processes and capabilities, on this thread and all that it starts. Says how much of
/// that Landlock does: `full`, `partly`, or `no` where the kernel has none. What was opened before stays open.
///
/// # Errors
/// When the kernel refuses.
pub fn seal() -> Result<String, Refused> {
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(LANDLOCK))?
        .handle_access(AccessNet::from_all(LANDLOCK))?
        .scope(Scope::from_all(LANDLOCK))?
        .create()?
        .restrict_self()?;
    let kept = match status.ruleset {
        RulesetStatus::FullyEnforced => "full",
        RulesetStatus::PartiallyEnforced => "partly",
        RulesetStatus::NotEnforced => "no",
    };
    Ok(kept.to_owned())
}

/// Lets only the system calls pass that computing needs, on every thread.
///
/// # Errors
/// When the kernel refuses.
pub fn finish() -> Result<(), Refused> {
    Ok(seccompiler::apply_filter_all_threads(&filter()?)?)
}

fn filter() -> Result<BpfProgram, Refused> {
    let rule = |argument, operator, value| -> Result<_, seccompiler::BackendError> {
        SeccompRule::new(vec![SeccompCondition::new(argument, Dword, operator, value)?])
    };
    let is = |argument, value| rule(argument, SeccompCmpOp::Eq, value);
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = ALLOWED.iter().map(|call| (*call, Vec::new())).collect();
    // No memory becomes code any more.
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        let exec = libc::PROT_EXEC as u64;
        rules.insert(call, vec![rule(2, SeccompCmpOp::MaskedEq(exec), 0)?]);
    }
    rules.insert(libc::SYS_ioctl, vec![is(1, PAGEMAP_SCAN)?]);
    rules.insert(libc::SYS_fcntl, vec![is(1, libc::F_GETFD as u64)?, is(1, libc::F_GETFL as u64)?]);
    // `abort` sends a signal to its own thread; a thread names itself.
    rules.insert(libc::SYS_tgkill, vec![is(0, getpid().as_raw_pid() as u64)?]);
    rules.insert(libc::SYS_prctl, vec![is(0, libc::PR_SET_NAME as u64)?]);
    let refuse = SeccompAction::Errno(libc::EPERM as u32);
    let filter = SeccompFilter::new(rules, refuse, SeccompAction::Allow, std::env::consts::ARCH.try_into()?)?;
    Ok(filter.try_into()?)
}

/// System calls that pass whatever their arguments.
const ALLOWED: &[i64] = &[
    // the descriptors that are open
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_close,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_wait,
    // memory
    libc::SYS_brk,
    libc::SYS_madvise,
    libc::SYS_mremap,
    libc::SYS_munmap,
    // waiting
    libc::SYS_clock_nanosleep,
    libc::SYS_futex,
    libc::SYS_nanosleep,
    libc::SYS_restart_syscall,
    libc::SYS_sched_yield,
    // the time, random numbers, itself
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_sched_getaffinity,
    // signals of its own, which is how an instance's faults arrive; threads that begin and end
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_rseq,
    libc::SYS_set_robust_list,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Tries what is forbidden.
type Attempt = fn() -> io::Result<()>;

/// What a child must not be able to do, by name.
const FORBIDDEN: [(&str, Attempt); 15] = [
    ("read a file", || File::open("/proc/self/status").map(drop)),
    ("write a file", || OpenOptions::new().write(true).open("/dev/null").map(drop)),
    ("look at a file", || fs::metadata("/").map(drop)),
    ("list a folder", || fs::read_dir("/").map(drop)),
    ("delete a file", || fs::remove_file("/proc/self/status")),
    ("make a file in memory", || Ok(rustix::fs::memfd_create("x", rustix::fs::MemfdFlags::empty()).map(drop)?)),
    ("change its folder", || std::env::set_current_dir("/")),
    ("connect", || TcpStream::connect("127.0.0.1:9").map(drop)),
    ("listen", || TcpListener::bind("127.0.0.1:0").map(drop)),
    ("send a datagram", || UdpSocket::bind("127.0.0.1:0").map(drop)),
    ("make a socket", || UnixStream::pair().map(drop)),
    // Its streams are inherited, so nothing is opened before the process is made.
    ("start a program", || Command::new("/bin/true").spawn()?.wait().map(drop)),
    ("start a thread", || thread::Builder::new().spawn(|| {}).map(drop)),
    ("signal a process", || Ok(rustix::process::test_kill_process(getpid())?)),
    ("change its limits", || Ok(setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?)),
];

/// Tries everything that is forbidden; gives its names.
///
/// # Errors
/// What was not refused.
pub fn prove() -> Result<Vec<String>, String> {
    let mut refused = Vec::new();
    for (name, attempt) in FORBIDDEN {
        match attempt() {
            Err(error) if error.raw_os_error() == Some(Errno::PERM.raw_os_error()) => refused.push(name.to_owned()),
            Ok(()) => return Err(name.to_owned()),
            Err(error) => return Err(format!("{name} (it failed otherwise: {error})")),
        }
    }
    Ok(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What would let a process out is not on the list, whatever else changes there.
    #[test]
    fn no_way_out_is_allowed() {
        let out = [
            libc::SYS_open,
            libc::SYS_openat,
            libc::SYS_openat2,
            libc::SYS_creat,
            libc::SYS_open_by_handle_at,
            libc::SYS_memfd_create,
            libc::SYS_socket,
            libc::SYS_socketpair,
            libc::SYS_connect,
            libc::SYS_bind,
            libc::SYS_listen,
            libc::SYS_accept,
            libc::SYS_accept4,
            libc::SYS_execve,
            libc::SYS_execveat,
            libc::SYS_fork,
            libc::SYS_vfork,
            libc::SYS_clone,
            libc::SYS_clone3,
            libc::SYS_ptrace,
            libc::SYS_process_vm_readv,
            libc::SYS_process_vm_writev,
            libc::SYS_pidfd_open,
            libc::SYS_pidfd_getfd,
            libc::SYS_kill,
            libc::SYS_tkill,
            libc::SYS_rt_sigqueueinfo,
            libc::SYS_mount,
            libc::SYS_unshare,
            libc::SYS_setns,
            libc::SYS_chroot,
            libc::SYS_bpf,
            libc::SYS_perf_event_open,
            libc::SYS_io_uring_setup,
            libc::SYS_io_uring_enter,
            libc::SYS_userfaultfd,
            libc::SYS_keyctl,
            libc::SYS_setuid,
            libc::SYS_capset,
            libc::SYS_prlimit64,
            libc::SYS_dup,
            libc::SYS_dup2,
            libc::SYS_dup3,
        ];
        let allowed = out.iter().find(|call| ALLOWED.contains(call));
        assert_eq!(allowed, None);
        assert!(filter().unwrap().len() > ALLOWED.len());
    }
}
