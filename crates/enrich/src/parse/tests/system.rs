//! Syslog, the kernel, phones and supercomputers.

use super::check;

#[test]
fn syslog() {
    check(&[
        (
            "<34>Oct 11 22:14:15 host su[12]: 'su root' failed for bob",
            "Syslog | critical | su | 'su root' failed for bob",
        ),
        (
            "Jan 15 10:30:45 host sshd[12]: Failed password for root",
            "Syslog | - | sshd | Failed password for root",
        ),
        ("Jan  5 10:30:45 host sshd(pam_unix)[12]: check pass", "Syslog | - | sshd(pam_unix) | check pass"),
        (
            "Jan 15 10:30:45 host kernel: [  812.311] EXT4-fs error (device sda1): x",
            "Kernel | - | kernel | EXT4-fs error (device sda1): x",
        ),
        ("Jan 15 10:30:45 host Google Chrome[12]: gone", "Syslog | - | Google Chrome | gone"),
        (
            "Jan 15 10:30:45 host --- last message repeated 1 time ---",
            "Syslog | - | - | --- last message repeated 1 time ---",
        ),
        (
            "Jan 15 10:30:45 --- last message repeated 1 time ---",
            "Syslog | - | - | --- last message repeated 1 time ---",
        ),
        ("Jan 15 10:30:45 host syslogd 1.4.1: restart.", "Syslog | - | - | syslogd 1.4.1: restart."),
        (
            "Jan 15 10:30:45 host kubelet[12]: E0115 10:30:45.123456    12 a.go:1] boom",
            "Klog | error | kubelet | boom",
        ),
        (
            "Jan 15 10:30:45 host dockerd[12]: time=\"2024-01-15T10:30:45Z\" level=warning msg=\"slow\" id=7",
            "Logfmt | warning | dockerd | slow | id=7",
        ),
        (
            "<30>Jan 15 10:30:45 host app[1]: {\"level\":\"error\",\"msg\":\"boom\"}",
            "Json | error | app | boom",
        ),
        ("<30>Jan 15 10:30:45 host app[1]: ERROR boom", "Syslog | info | app | ERROR boom"),
        ("Jan 15 10:30:45 host app[1]: ERROR boom", "Syslog | error | app | boom"),
        (
            "2024-01-15T10:30:45.123456+00:00 host systemd[1]: x.service: Failed",
            "Syslog | - | systemd | x.service: Failed",
        ),
        ("2024-01-15T10:30:45.123456+00:00 host kernel: oops", "Syslog | - | kernel | oops"),
        (
            "Jan 15 10:30:45 router 12: *Jan 15 10:30:44.123: %LINK-3-UPDOWN: Interface Gi0/1, changed state to down",
            "Syslog | error | LINK-3-UPDOWN | Interface Gi0/1, changed state to down",
        ),
        ("Jan 15 10:30:45 host CRON[12]: (root) CMD (run: x)", "Syslog | - | CRON | (root) CMD (run: x)"),
    ]);
}

#[test]
fn syslog_5424() {
    check(&[
        (
            "<165>1 2003-10-11T22:14:15.003Z host evntslog - ID47 [ex@32473 iut=\"3\" src=\"App \\\"x\\\"\"] \u{feff}An event",
            "Syslog5424 | notice | evntslog | An event | iut=3 src=App \"x\" msgid=ID47",
        ),
        ("<11>1 2024-01-15T10:30:45Z host app 12 - - boom", "Syslog5424 | error | app | boom"),
        ("<14>1 - - - - - -", "Syslog5424 | info | - | "),
        (
            "<14>1 2024-01-15T10:30:45Z h a 1 - [origin ip=\"1\"][x level=\"bad\"] m",
            "Syslog5424 | info | a | m | level=bad",
        ),
        (
            "<14>1 2024-01-15T10:30:45Z h a 1 - - {\"level\":\"error\",\"msg\":\"boom\"}",
            "Json | error | a | boom",
        ),
        (
            "<14>1 2024-01-15T10:30:45Z h a 1 - [broken m",
            "Kernel | info | - | 1 2024-01-15T10:30:45Z h a 1 - [broken m",
        ),
    ]);
}

#[test]
fn kernel() {
    check(&[
        (
            "[  812.311456] EXT4-fs error (device sda1): bad block",
            "Kernel | - | - | EXT4-fs error (device sda1): bad block",
        ),
        ("[    0.000000][    T0] Linux version 6.1", "Kernel | - | - | Linux version 6.1"),
        ("<3>[  812.311456] ata1: failed", "Kernel | error | - | ata1: failed"),
        ("<4>low memory", "Kernel | warning | - | low memory"),
        ("kern  :err   : [  812.311456] ata1: failed", "Kernel | error | - | ata1: failed"),
        ("[Mon Jan 15 10:30:45 2024] oom-kill: x", "Application | - | - | oom-kill: x"),
    ]);
}

#[test]
fn android_and_macos() {
    check(&[
        (
            "03-17 16:13:38.811  1702  2395 D WindowManager: shown: false",
            "Android | debug | WindowManager | shown: false",
        ),
        (
            "03-17 16:13:38.811  1702  2395 E AndroidRuntime: FATAL EXCEPTION: main",
            "Android | error | AndroidRuntime | FATAL EXCEPTION: main",
        ),
        ("03-17 16:13:38.811 28601 28601 V Audio  : x", "Android | debug | Audio | x"),
        ("E/AndroidRuntime( 1702): boom", "Android | error | AndroidRuntime | boom"),
        ("I/flutter (12): hi", "Android | info | flutter | hi"),
        ("W/x y: z", "Plain | - | - | W/x y: z"),
        (
            "2024-01-15 10:30:45.123456+0000 0x1234     Error       0x0                  123    0    kernel: (AppleFoo) boom",
            "MacOs | error | kernel | (AppleFoo) boom",
        ),
    ]);
}

#[test]
fn windows_health_and_proxies() {
    check(&[
        (
            "2016-09-28 04:30:30, Info                  CBS    Warning: odd attribute",
            "Application | info | CBS | Warning: odd attribute",
        ),
        (
            "2016-09-28 04:30:30, Error                 CSI    failed [0x1]",
            "Application | error | CSI | failed [0x1]",
        ),
        (
            "20171223-22:15:29:606|Step_Counter|30002312|onChanged 3579",
            "Application | - | Step_Counter | onChanged 3579",
        ),
        ("20171223-22:15:29:606|ERROR|Step_Counter|30002312|a|b", "Application | error | Step_Counter | a|b"),
        (
            "[07.26 15:30:10] chrome.exe *64 - example.com:80 open through proxy",
            "Application | - | chrome.exe | example.com:80 open through proxy",
        ),
        ("[07.26 15:30:10] mail.exe - closed", "Application | - | mail.exe | closed"),
    ]);
}

#[test]
fn supercomputers_without_their_labels() {
    check(&[
        (
            "- 1117838570 2005.06.03 R02-M1 2005-06-03-15.42.50.675872 R02-M1 RAS KERNEL INFO parity error corrected",
            "Ras | info | KERNEL | parity error corrected",
        ),
        (
            "APPREAD 1117838570 2005.06.03 R02-M1 2005-06-03-15.42.50.675872 R02-M1 RAS APP FATAL ciod: failed",
            "Ras | fatal | APP | ciod: failed",
        ),
        (
            "1117838570 2005.06.03 R02-M1 2005-06-03-15.42.50.675872 R02-M1 RAS KERNEL FAILURE gone",
            "Ras | fatal | KERNEL | gone",
        ),
        (
            "- 1131566461 2005.11.09 dn228 Nov 9 12:01:01 dn228/dn228 crond(pam_unix)[2915]: session closed",
            "Syslog | - | crond(pam_unix) | session closed",
        ),
        (
            "ECC 1131566461 2005.11.09 tb1 Nov 9 12:01:01 src@tb1 /usr/sbin/gmetad[12]: no answer",
            "Syslog | - | gmetad | no answer",
        ),
        (
            "154670 node-243 node temperature 1130177820 1 ambient=29",
            "Ras | - | node | ambient=29 | state=temperature",
        ),
        ("12 full partition status 1130177820 -1 running", "Ras | - | partition | running | state=status"),
    ]);
}
