"""The app on a real device, by adb.

In: a bundle's APK and a device's serial. Out: the report of the app's self-test, judged by the recipe's gates, and a
device profile from measured latencies; ``DeployError`` with adb's own message when the device does not cooperate.
"""
