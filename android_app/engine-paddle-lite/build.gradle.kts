// Not exercised: see settings.gradle.kts. How it is compiled stands in the root's build.gradle.kts.
plugins {
    id("org.jetbrains.kotlin.jvm")
}

dependencies {
    api(project(":ocr-core"))
    // Never shipped: the real classes are in the PaddlePredictor.jar of Paddle Lite's runtime.
    compileOnly(project(":paddle-lite-api"))
}
