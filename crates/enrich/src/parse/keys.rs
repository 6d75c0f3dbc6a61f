//! What the keys of structured records mean.
//!
//! Loggers agree on what they write and on nothing about its name, so keys are compared in lower case and without
//! `_` and `-`: `logger_name`, `loggerName` and `Logger-Name` are one.

use std::{collections::HashMap, sync::LazyLock};

use foldhash::fast::FixedState;

use super::text::{head, tail};

/// A key longer than this, in its comparable form, is none that we know.
const LONGEST_KEY: usize = 40;

/// What a key means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Time,
    Level,
    /// `levelno`, `levelname`: also a sign of Python, whose `name` is the logger.
    PythonLevel,
    OtelLevel,
    MongoLevel,
    /// The higher the number, the more exact.
    Logger(u8),
    /// Bunyan's, pino's and Python's logger, anyone else's name of something.
    Name,
    Message(u8),
    Stack,
    /// An error's text, or its stack where it has several lines.
    Error,
    /// Says where, not what.
    Bookkeeping,
    /// Bookkeeping, and a sign of bunyan and pino.
    Process,
    Other,
}

/// The keys that mean something by themselves, in comparable form; a point leads into an object.
const KEYS: &[(Role, &str)] = &[
    (
        Role::Time,
        "time ts timestamp @timestamp @t t datetime date asctime created eventtime timemillis \
         t.$date timestamp.$date datetime.date instant.epochsecond timelocal timeiso8601 \
         starttime startlocal loggedat timegenerated eventtimestamp timeunixnano \
         observedtimestamp logtime requestreceivedtimestamp localtime",
    ),
    (Role::PythonLevel, "levelname levelno"),
    (
        Role::Level,
        "level lvl severity log.level loglevel @l l severitytext priority logseverity \
         loglevelname logging.level sev syslog.severity log.syslog.severity.name",
    ),
    (Role::OtelLevel, "severitynumber"),
    (Role::MongoLevel, "s"),
    (Role::Logger(4), "logger loggername log.logger target sourcecontext logger.name"),
    (
        Role::Logger(3),
        "component module subsystem category class classname channel scope controller label c \
         context subsys modulename",
    ),
    (Role::Logger(2), "app application appname program syslogidentifier programname applicationname unit"),
    (Role::Logger(1), "service service.name servicename servicecontext.service"),
    (Role::Name, "name"),
    (Role::Message(3), "msg message @m shortmessage renderedmessage body.stringvalue log.message fullmsg"),
    (Role::Message(2), "@mt log messagetemplate textpayload m"),
    (Role::Message(1), "event text body fullmessage"),
    (
        Role::Stack,
        "stack stacktrace traceback errorverbose excinfo exctext @x error.stacktrace \
         error.stack err.stack exception.stacktrace backtrace exception.stack \
         thrown.extendedstacktrace thrown.stacktrace stackinfo exception.traceback",
    ),
    (Role::Error, "err error exception error.message err.message"),
    (Role::Process, "pid hostname v"),
    (
        Role::Bookkeeping,
        "tid thread threadname threadid host caller file filename line lineno linenumber \
         linenum func funcname function pathname source src version @version @i @r traceid \
         spanid trace.id span.id transaction.id traceflags tracesampled parentid parentspanid \
         requestid reqid correlationid xrequestid request.id req.id sessionid insertid logname \
         receivetimestamp resource labels tags stream levelvalue loglevelvalue levelint process \
         processname processid msecs relativecreated taskname args endofbatch loggerfqcn hostip \
         threadpriority instant.nanoofsecond timestampnanos timestampseconds nanos useragent \
         referer referrer httpuseragent httpreferer userag httpxforwardedfor xforwardedfor \
         facility syslogfacility syslogpid syslogtimestamp syslograw codefile codeline codefunc \
         messageid invocationid jobid uid gid ctx goroutine gid.thread environment env \
         machinename spans span ecs logginggoogleapiscomtrace datacontenttype specversion \
         docker kubernetes sourcelocation build commit gitcommit pri auditid clusterip nodename \
         podip originationtimestamp timezone flags",
    ),
];

/// [`KEYS`] by key. The hash need not withstand attackers: no key of theirs gets into the table.
static ROLES: LazyLock<HashMap<&[u8], Role, FixedState>> = LazyLock::new(|| {
    let role_of_keys = |(role, keys): &(Role, &'static str)| {
        keys.split(' ').map(|key| (key.as_bytes(), *role)).collect::<Vec<_>>()
    };
    KEYS.iter().flat_map(role_of_keys).collect()
});

/// What the value at a path means.
pub(super) fn role(keys: &[&str], first: &str) -> Role {
    if let [_] = keys
        && let Some(rest) = first.strip_prefix('_')
        && rest.starts_with(|next: char| next == '_' || next.is_ascii_uppercase())
    {
        return match first {
            "_COMM" | "_SYSTEMD_UNIT" => Role::Logger(1),
            _ => Role::Bookkeeping, // journald's own
        };
    }
    let mut buffer = [0; LONGEST_KEY];
    let Some(key) = comparable(keys, &mut buffer) else { return Role::Other };
    match ROLES.get(key) {
        Some(role) => *role,
        None if key.contains(&b'.') => nested(key),
        None => Role::Other,
    }
}

/// The keys joined with points, in lower case, without `_` and `-`.
fn comparable<'b>(keys: &[&str], buffer: &'b mut [u8; LONGEST_KEY]) -> Option<&'b [u8]> {
    let mut length = 0;
    for (index, key) in keys.iter().enumerate() {
        if index > 0 {
            *buffer.get_mut(length)? = b'.';
            length += 1;
        }
        for byte in key.bytes() {
            if !matches!(byte, b'_' | b'-') {
                *buffer.get_mut(length)? = byte.to_ascii_lowercase();
                length += 1;
            }
        }
    }
    buffer.get(..length)
}

/// The role of a value inside an object that has no role by its whole name.
fn nested(key: &[u8]) -> Role {
    let key = str::from_utf8(key).unwrap_or_default();
    let first = head(key, key.find('.').unwrap_or(key.len()));
    let last = tail(key, key.rfind('.').map_or(0, |at| at + 1));
    match first {
        "kubernetes"
        | "k8s"
        | "docker"
        | "container"
        | "host"
        | "agent"
        | "ecs"
        | "process"
        | "cloud"
        | "labels"
        | "resource"
        | "service"
        | "datastream"
        | "input"
        | "fileset"
        | "observer"
        | "sourcelocation"
        | "logging.googleapis.com/sourcelocation"
        | "instant"
        | "threadcontext"
        | "useragent"
        | "span"
        | "spans"
        | "orchestrator"
        | "trace"
        | "transaction"
        | "related"
        | "thread"
        | "caller"
        | "systemd"
        | "journald"
        | "operation"
        | "@r"
        | "servicecontext" => Role::Bookkeeping,
        "log" => match last {
            "level" => Role::Level,
            _ => Role::Bookkeeping,
        },
        "event" => match last {
            "action" | "outcome" | "reason" | "code" => Role::Other,
            "original" => Role::Message(1),
            _ => Role::Bookkeeping,
        },
        "logging" if key.starts_with("logging.googleapis.com/") => Role::Bookkeeping,
        _ => match last {
            "headers" | "useragent" | "remoteaddress" | "remoteport" | "remoteip" | "proto" | "host"
            | "hostname" | "pid" | "traceid" | "spanid" | "id" | "clientip" | "tls" | "query" | "line"
            | "file" => Role::Bookkeeping,
            _ => Role::Other,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_key_are_one() {
        for key in ["logger_name", "loggerName", "Logger-Name", "LOGGER_NAME"] {
            assert_eq!(role(&[key], key), Role::Logger(4), "{key}");
        }
        assert_eq!(role(&["log", "level"], "log"), Role::Level);
        assert_eq!(role(&["log.level"], "log.level"), Role::Level);
        assert_eq!(role(&["__CURSOR"], "__CURSOR"), Role::Bookkeeping);
        assert_eq!(role(&["k".repeat(200).as_str()], "k"), Role::Other);
    }

    #[test]
    fn no_key_has_two_meanings() {
        assert_eq!(ROLES.len(), KEYS.iter().map(|(_, keys)| keys.split(' ').count()).sum::<usize>());
    }
}
