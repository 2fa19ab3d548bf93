//! An I²C adapter behind USB, played for an emulated board: "i2c-tiny-usb", whose driver is in every stock kernel.
//!
//! QEMU's `usb-redir` device is the guest's end of the USB network redirection protocol (its description, version
//! 0.7, comes with usbredir, docs/usb-redirection-protocol.md); this is the other end. The adapter knows four
//! vendor requests on endpoint zero (drivers/i2c/busses/i2c-tiny-usb.c in the kernel's sources): what it can do, how
//! fast it shall be, one message of a transaction, and whether that was acknowledged.

use embedded_hal::i2c::{I2c, Operation};
use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Packet types of the protocol.
mod packet {
    pub(super) const HELLO: u32 = 0;
    pub(super) const DEVICE_CONNECT: u32 = 1;
    pub(super) const DEVICE_DISCONNECT: u32 = 2;
    pub(super) const INTERFACE_INFO: u32 = 4;
    pub(super) const EP_INFO: u32 = 5;
    pub(super) const SET_CONFIGURATION: u32 = 6;
    pub(super) const CONFIGURATION_STATUS: u32 = 8;
    pub(super) const SET_ALT_SETTING: u32 = 9;
    pub(super) const ALT_SETTING_STATUS: u32 = 11;
    pub(super) const CONTROL: u32 = 100;
}

/// Capabilities that QEMU wants: sizes of endpoints (4), identifiers of 64 bits (5), lengths of 32 bits (6).
const CAPABILITIES: u32 = 1 << 4 | 1 << 5 | 1 << 6;
const STALL: u8 = 4;
const MOST: usize = 1 << 16;

/// Vendor and product by which the kernel's driver knows the adapter.
const IDENTITY: (u16, u16) = (0x0403, 0xc631);
const FULL_SPEED: u8 = 1;
/// USB 1.1, a vendor's own class, 64 bytes at endpoint zero, one configuration.
const DEVICE: [u8; 18] = [
    18, 1, 0x10, 1, 0xff, 0, 0, 64, 0x03, 0x04, 0x31, 0xc6, 0, 2, 0, 0, 0, 1,
];
/// One configuration with one interface without endpoints of its own.
const CONFIGURATION: [u8; 18] = [9, 2, 18, 0, 1, 1, 0, 0x80, 50, 9, 4, 0, 0, 0, 0xff, 0, 0, 0];
const GET_DESCRIPTOR: u8 = 6;
const GET_STATUS: u8 = 0;

/// Requests of the adapter, of type "vendor".
const VENDOR: u8 = 0x40;
const FUNCTIONALITY: u8 = 1;
const SET_DELAY: u8 = 2;
const STATUS: u8 = 3;
const MESSAGE: u8 = 4;
/// Plain I²C, and what the kernel makes of SMBus with it.
const PLAIN_I2C: u32 = 0x0eff_0009;
const ACKNOWLEDGED: u8 = 1;
const NOT_ACKNOWLEDGED: u8 = 2;

/// An adapter in a board's USB port.
#[derive(Debug)]
pub struct Adapter {
    line: Arc<Mutex<Option<UnixStream>>>,
}

impl Adapter {
    /// Waits at `socket` for a QEMU whose arguments are [`Adapter::arguments`], with `bus` behind the adapter.
    ///
    /// # Panics
    /// When there can be no socket.
    #[must_use]
    pub fn plug_in(socket: &Path, bus: impl I2c + Send + 'static) -> Self {
        let listener = UnixListener::bind(socket).expect("a socket");
        let line = Arc::new(Mutex::new(None));
        let theirs = Arc::clone(&line);
        thread::spawn(move || {
            let (stream, _) = listener.accept()?;
            *theirs.lock().unwrap_or_else(PoisonError::into_inner) = Some(stream.try_clone()?);
            // It ends with QEMU.
            Guest { line: stream }.serve(bus)
        });
        Self { line }
    }

    /// What QEMU must be told.
    #[must_use]
    pub fn arguments(socket: &Path) -> [String; 6] {
        let chardev = format!("socket,id=usb,path={}", socket.display());
        [
            "-device",
            "qemu-xhci",
            "-chardev",
            &chardev,
            "-device",
            "usb-redir,chardev=usb",
        ]
        .map(str::to_owned)
    }

    /// Pulls it out.
    ///
    /// # Panics
    /// When QEMU never came, or is gone.
    pub fn unplug(&self) {
        let line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        let line = line.as_ref().expect("QEMU has connected");
        let line = line.try_clone().expect("the line can be used twice");
        let sent = Guest { line }.send(packet::DEVICE_DISCONNECT, 0, &[]);
        sent.expect("QEMU is told");
    }
}

/// A request on endpoint zero.
struct Request {
    kind: u8,
    number: u8,
    value: u16,
    index: u16,
    length: usize,
    data: Vec<u8>,
}

/// QEMU's end of the line.
struct Guest {
    line: UnixStream,
}

impl Guest {
    fn serve(mut self, mut bus: impl I2c) -> io::Result<()> {
        self.introduce()?;
        let mut acknowledged = true;
        loop {
            let (kind, id, body) = self.receive()?;
            match (kind, &body[..]) {
                (packet::SET_CONFIGURATION, &[configuration]) => {
                    self.send(packet::CONFIGURATION_STATUS, id, &[0, configuration])?;
                }
                (packet::SET_ALT_SETTING, &[interface, setting]) => {
                    self.send(packet::ALT_SETTING_STATUS, id, &[0, interface, setting])?;
                }
                (packet::CONTROL, body) if body.len() >= 10 => {
                    let word = |at: usize| u16::from_le_bytes([body[at], body[at + 1]]);
                    let request = Request {
                        number: body[1],
                        kind: body[2],
                        value: word(4),
                        index: word(6),
                        length: word(8).into(),
                        data: body[10..].to_vec(),
                    };
                    let answer = answer(&request, &mut bus, &mut acknowledged);
                    self.reply(id, body, answer)?;
                }
                // Resets and cancellations: nothing is ever under way.
                _ => {}
            }
        }
    }

    /// Says what protocol this is, and which device.
    fn introduce(&mut self) -> io::Result<()> {
        let mut hello = [0; 68];
        hello[..10].copy_from_slice(b"scalebench");
        hello[64..].copy_from_slice(&CAPABILITIES.to_le_bytes());
        // The first packet's identifier has 32 bits whatever is agreed upon.
        let mut first = Vec::new();
        for field in [packet::HELLO, hello.len() as u32, 0] {
            first.extend(field.to_le_bytes());
        }
        first.extend(hello);
        self.line.write_all(&first)?;
        // One interface: its number, class, subclass and protocol each have 32 places.
        let mut interfaces = [0; 4 + 4 * 32];
        interfaces[0] = 1;
        interfaces[4 + 32] = 0xff;
        self.send(packet::INTERFACE_INFO, 0, &interfaces)?;
        // Type, interval and interface of 32 endpoints, then their sizes: the two of number zero are all.
        let mut endpoints = [0; 3 * 32 + 2 * 32];
        endpoints[..32].fill(255);
        for zero in [0, 16] {
            endpoints[zero] = 0;
            endpoints[96 + 2 * zero] = 64;
        }
        self.send(packet::EP_INFO, 0, &endpoints)?;
        let mut device = vec![FULL_SPEED, 0xff, 0, 0];
        device.extend(IDENTITY.0.to_le_bytes());
        device.extend(IDENTITY.1.to_le_bytes());
        self.send(packet::DEVICE_CONNECT, 0, &device)
    }

    fn reply(&mut self, id: u64, request: &[u8], answer: Option<Vec<u8>>) -> io::Result<()> {
        let mut body = request[..10].to_vec();
        body[3] = if answer.is_some() { 0 } else { STALL };
        let is_in = request[2] & 0x80 != 0;
        let data = answer.unwrap_or_default();
        if is_in {
            body[8..10].copy_from_slice(&(data.len() as u16).to_le_bytes());
            body.extend(data);
        }
        self.send(packet::CONTROL, id, &body)
    }

    fn send(&mut self, kind: u32, id: u64, body: &[u8]) -> io::Result<()> {
        let mut packet = Vec::with_capacity(16 + body.len());
        packet.extend(kind.to_le_bytes());
        packet.extend((body.len() as u32).to_le_bytes());
        packet.extend(id.to_le_bytes());
        packet.extend(body);
        self.line.write_all(&packet)
    }

    /// Type, identifier and body of the next packet.
    fn receive(&mut self) -> io::Result<(u32, u64, Vec<u8>)> {
        let mut start = [0; 8];
        self.line.read_exact(&mut start)?;
        let field = |at: usize| {
            u32::from_le_bytes([start[at], start[at + 1], start[at + 2], start[at + 3]])
        };
        let (kind, length) = (field(0), field(4) as usize);
        let mut id = [0; 8];
        let id_bytes = if kind == packet::HELLO { 4 } else { 8 };
        self.line.read_exact(&mut id[..id_bytes])?;
        if length > MOST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut body = vec![0; length];
        self.line.read_exact(&mut body)?;
        Ok((kind, u64::from_le_bytes(id), body))
    }
}

/// What the adapter sends back; `None` for a request it does not know.
fn answer(request: &Request, bus: &mut impl I2c, acknowledged: &mut bool) -> Option<Vec<u8>> {
    let cut = |bytes: &[u8]| Some(bytes[..bytes.len().min(request.length)].to_vec());
    if request.kind & 0x60 != VENDOR {
        return match (request.number, request.value >> 8) {
            (GET_DESCRIPTOR, 1) => cut(&DEVICE),
            (GET_DESCRIPTOR, 2) => cut(&CONFIGURATION),
            (GET_STATUS, _) => cut(&[0, 0]),
            _ => None,
        };
    }
    match request.number {
        FUNCTIONALITY => cut(&PLAIN_I2C.to_le_bytes()),
        SET_DELAY => Some(Vec::new()),
        STATUS => cut(&[match acknowledged {
            true => ACKNOWLEDGED,
            false => NOT_ACKNOWLEDGED,
        }]),
        // The two low bits say whether a transaction begins and ends here: the model needs no more than the messages.
        number if number & !0b11 == MESSAGE => {
            let address = request.index as u8;
            let mut read = vec![
                0;
                if request.kind & 0x80 != 0 {
                    request.length
                } else {
                    0
                }
            ];
            let operation = match request.kind & 0x80 != 0 {
                true => Operation::Read(&mut read),
                false => Operation::Write(&request.data),
            };
            *acknowledged = bus.transaction(address, &mut [operation]).is_ok();
            Some(read)
        }
        _ => None,
    }
}
