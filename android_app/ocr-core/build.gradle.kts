// Not exercised: see settings.gradle.kts. How it is compiled stands in the root's build.gradle.kts.
plugins {
    id("org.jetbrains.kotlin.jvm")
}

dependencies {
    // The classes alone: the app brings them with their native library.
    compileOnly("org.bytedeco:opencv:4.11.0-1.5.12")
    // Part of Android.
    compileOnly("org.json:json:20240303")
}
