// Not exercised: see settings.gradle.kts. How it is compiled stands in the root's build.gradle.kts.
plugins {
    `java-library`
}
