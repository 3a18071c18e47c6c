// Not exercised: see settings.gradle.kts. How it is compiled stands in the root's build.gradle.kts.
plugins {
    id("org.jetbrains.kotlin.jvm")
}

dependencies {
    api(project(":ocr-core"))
    // The classes alone: the app brings them with their native library.
    compileOnly("org.bytedeco:opencv:4.11.0-1.5.12")
    // Part of Android.
    compileOnly("org.json:json:20240303")

    testImplementation("org.bytedeco:opencv:4.11.0-1.5.12")
    testImplementation("org.json:json:20240303")
    // OpenCV's library of the host; on another one change the classifier, as native.platform in pom.xml.
    testImplementation("org.bytedeco:opencv:4.11.0-1.5.12:linux-x86_64")
    testImplementation("org.bytedeco:openblas:0.3.30-1.5.12:linux-x86_64")
    testImplementation("org.bytedeco:javacpp:1.5.12:linux-x86_64")
    testImplementation("org.jetbrains.kotlin:kotlin-test-junit5:2.2.20")
    testImplementation("org.junit.jupiter:junit-jupiter:5.11.4")
    testRuntimeOnly("org.junit.platform:junit-platform-launcher:1.11.4")
}
