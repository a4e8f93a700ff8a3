//! A program in a pseudo-terminal, as a person sees it and types to it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use super::identity::Identity;
use super::wait;

/// A running program.
pub struct Terminal {
    child: Child,
    keyboard: File,
    screen: Arc<Mutex<String>>,
}

impl Terminal {
    /// Starts a program that reads a kubeconfig, as this user.
    pub fn start(who: &Identity, program: &Path, arguments: &[&str]) -> Result<Self> {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        grantpt(&controller)?;
        unlockpt(&controller)?;
        // Wide enough that no line of progress is cut.
        let size = Winsize { ws_row: 50, ws_col: 250, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&controller, size)?;
        let name = ptsname(&controller, Vec::new())?;
        let path = Path::new(std::ffi::OsStr::from_bytes(name.as_bytes())).to_owned();
        let open = || File::options().read(true).write(true).open(&path);
        // With a terminal of its own, the program can ask what nobody but a person should answer, and Ctrl-C is a key.
        let child = Command::new("setsid")
            .arg("--ctty")
            .arg(program)
            .args(arguments)
            .env("KUBECONFIG", who.kubeconfig())
            .env("NO_PROXY", "127.0.0.1,localhost")
            .env("TZ", "UTC")
            .stdin(Stdio::from(open()?))
            .stdout(Stdio::from(open()?))
            .stderr(Stdio::from(open()?))
            .spawn()
            .with_context(|| program.display().to_string())?;
        let keyboard = File::from(controller);
        let (mut output, screen) = (keyboard.try_clone()?, Arc::new(Mutex::new(String::new())));
        let shown = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // Reading fails when the program has ended.
            while let Ok(number @ 1..) = output.read(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..number]);
                shown.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
            }
        });
        Ok(Self { child, keyboard, screen })
    }

    /// All that was shown so far.
    pub fn screen(&self) -> String {
        self.screen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until this text is shown.
    pub async fn until(&self, text: &str) -> Result<()> {
        wait::until(wait::PATIENCE, text, || async {
            let screen = self.screen();
            ensure!(screen.contains(text), "{text:?} is not on the screen:\n{screen}");
            Ok(())
        })
        .await
    }

    /// Waits until what is typed is not shown.
    pub async fn until_hidden(&self) -> Result<()> {
        wait::until(wait::PATIENCE, "no echo", || async {
            let modes = tcgetattr(&self.keyboard)?.local_modes;
            ensure!(!modes.contains(LocalModes::ECHO), "what is typed is shown");
            Ok(())
        })
        .await
    }

    /// Types a line.
    pub fn type_line(&mut self, line: &str) -> Result<()> {
        Ok(writeln!(self.keyboard, "{line}")?)
    }

    /// Presses Ctrl-C.
    pub fn interrupt(&mut self) -> Result<()> {
        Ok(self.keyboard.write_all(b"\x03")?)
    }

    /// Presses the tab key, after these characters.
    pub fn complete(&mut self, typed: &str) -> Result<()> {
        Ok(write!(self.keyboard, "{typed}\t")?)
    }

    /// Waits until the program has ended. Returns its exit code and all that it showed.
    pub async fn end(mut self) -> Result<(Option<i32>, String)> {
        let mut code = None;
        for _ in 0..1200 {
            if let Some(status) = self.child.try_wait()? {
                code = Some(status.code());
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let code = code.with_context(|| format!("it did not end:\n{}", self.screen()))?;
        // What it showed last arrives a moment later.
        tokio::time::sleep(Duration::from_millis(200)).await;
        Ok((code, self.screen()))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
