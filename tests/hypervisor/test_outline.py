"""What changed in a definition, in the words of whoever changed it."""

import pytest

from haven.core.definition_change import difference
from haven.hypervisor.outline import outline

XML = """
<domain type='kvm'>
  <name>maas</name><memory unit='KiB'>4194304</memory><vcpu placement='static'>2</vcpu>
  <metadata><x xmlns='urn:haven:vm' vmid='102'/></metadata>
  <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type><boot dev='hd'/></os>
  <on_crash>destroy</on_crash>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2' cache='none'/><source file='/srv/maas.qcow2'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <interface type='bridge'>
      <mac address='52:54:00:00:00:01'/><source bridge='br0'/><model type='virtio'/>
    </interface>
  </devices>
</domain>
"""
DISK = "<disk type='file' device='disk'><source file='/srv/b.raw'/><target dev='vdb'/></disk></devices>"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("4194304", "8388608", "memory from 4096 MiB to 8192 MiB"),
        (">2</vcpu>", ">4</vcpu>", "cpus from 2 to 4"),
        (">2</vcpu>", " current='1'>2</vcpu>", "cpus from 2 to 1"),
        ("</devices>", DISK, "disk vdb added (/srv/b.raw)"),
        ("cache='none'", "cache='unsafe'",
         "disk vda from /srv/maas.qcow2 cache=none to /srv/maas.qcow2 cache=unsafe"),
        ("<source file='/srv/maas.qcow2'/>", "", "disk vda from /srv/maas.qcow2 cache=none to empty cache=none"),
        ("br0", "br1", "net 52:54:00:00:00:01 from virtio br0 to virtio br1"),
        ("</devices>", "<panic model='isa'/></devices>", "panic device added"),
        ("</devices>", "<watchdog model='i6300esb' action='reset'/></devices>",
         "guest watchdog added (i6300esb reset)"),
        ("<on_crash>destroy</on_crash>", "<on_crash>restart</on_crash>", "on_crash from destroy to restart"),
        ("vmid='102'", "vmid='103'", ""),
    ],
)  # fmt: skip
def test_a_change_is_told_in_short_words(old: str, new: str, said: str) -> None:
    assert old in XML
    assert difference(outline(XML), outline(XML.replace(old, new))) == said


def test_what_was_taken_out_is_told_with_what_it_was() -> None:
    before = outline(XML)
    card = XML[XML.index("<interface") : XML.index("</interface>") + len("</interface>")]
    assert difference(before, outline(XML.replace(card, ""))) == "net 52:54:00:00:00:01 taken out (virtio br0)"
