// Not exercised: see settings.gradle.kts. How it is compiled stands in the root's build.gradle.kts.
plugins {
    id("org.jetbrains.kotlin.jvm")
}

dependencies {
    api(project(":ocr-core"))
    // Never shipped: the real classes are in the PaddlePredictor.jar of Paddle Lite's runtime.
    compileOnly(project(":paddle-lite-api"))

    // The tests bring a runtime of their own, of the same API.
    testImplementation(project(":paddle-lite-api"))
    testImplementation("org.jetbrains.kotlin:kotlin-test-junit5:2.2.20")
    testImplementation("org.junit.jupiter:junit-jupiter:5.11.4")
    testRuntimeOnly("org.junit.platform:junit-platform-launcher:1.11.4")
}
