"""What can be done to a demo phone by hand, as text for a terminal."""

from capture.demo_phone.fault_properties import forms

_BY_HAND = """\
what a phone does, by hand, with adb shell:
  input keyevent POWER | SLEEP | WAKEUP             switch its screen off and on
  settings put system user_rotation 0 | 1 | 2 | 3   turn it (Android 12 and later also: wm user-rotation lock N)
  wm size 540x960 | reset                           change the size of its screen
  am start -n com.demo.vault/.Vault                 open an app that may not be captured; input keyevent HOME leaves it
  pkill screenrecord                                end its recorders
and with adb alone:
  adb reboot                                        it is away for a second, and boots for three more

how it misbehaves, by hand, with adb shell:
  setprop demo.fault.NAME VALUE                     bring about a fault; getprop shows those there are
  "setprop demo.fault.NAME ''"                      take it back
NAME and VALUE, as capture/demo_phone/faults.py explains them:
{faults}
For so long, offline drops all connections and refuses new ones, and hangs keeps them and answers nothing.
"""


def by_hand() -> str:
    """Paragraphs of lines that are to stay as they are."""
    return _BY_HAND.format(faults="\n".join(f"  {name:26}{form}" for name, form in forms().items()))
