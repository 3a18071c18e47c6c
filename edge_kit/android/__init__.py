"""The Android app's packager: compiled modules, models and native libraries go in, a signed APK comes out.

Its tools are the JDK, Maven and two Debian packages; everything else is a pinned artifact of Maven Central.
"""
