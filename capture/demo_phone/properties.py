"""Android's system properties, as far as tools look at them."""

RELEASES = {
    24: "7.0",
    25: "7.1.1",
    26: "8.0.0",
    27: "8.1.0",
    28: "9",
    29: "10",
    30: "11",
    31: "12",
    32: "12",
    33: "13",
    34: "14",
    35: "15",
    36: "16",
}
"""Android's versions by API level: those that the demo phone can be."""

BOOTING = {
    "dev.bootcomplete": "",
    "init.svc.bootanim": "running",
    "service.bootanim.exit": "0",
    "sys.boot_completed": "",
}
"""What a phone says while its boot animation runs; an empty property is one that nobody has set."""

BOOTED = {
    "dev.bootcomplete": "1",
    "init.svc.bootanim": "stopped",
    "service.bootanim.exit": "1",
    "sys.boot_completed": "1",
}
"""What it says afterwards."""


def initial_properties(name: str, model: str, sdk: int) -> dict[str, str]:
    """The properties of a phone that has booted: its serial number, its model and Android's API level are given.

    Raises ValueError for an API level that is not in `RELEASES`.
    """
    if sdk not in RELEASES:
        raise ValueError(f"API level {sdk}: it must be {min(RELEASES)} (Android 7) to {max(RELEASES)} (Android 16)")
    release = RELEASES[sdk]
    return {
        **BOOTED,
        "init.svc.adbd": "running",
        "init.svc.surfaceflinger": "running",
        "persist.sys.timezone": "UTC",
        "ro.build.characteristics": "default",
        "ro.build.fingerprint": f"demo/demo_phone/demo:{release}/DEMO/1:userdebug/test-keys",
        "ro.build.type": "userdebug",
        "ro.build.version.release": release,
        "ro.build.version.sdk": str(sdk),
        "ro.debuggable": "1",
        "ro.hardware": "demo",
        "ro.product.brand": "Demo",
        "ro.product.cpu.abi": "x86_64",
        "ro.product.cpu.abilist": "x86_64,arm64-v8a",
        "ro.product.device": "demo",
        "ro.product.manufacturer": "Demo",
        "ro.product.model": model,
        "ro.product.name": "demo_phone",
        "ro.serialno": name,
    }
