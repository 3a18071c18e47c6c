// Not exercised: see settings.gradle.kts.
plugins {
    id("org.jetbrains.kotlin.jvm")
}

kotlin {
    compilerOptions {
        jvmTarget.set(org.jetbrains.kotlin.gradle.dsl.JvmTarget.JVM_1_8)
        freeCompilerArgs.addAll("-Xlambdas=class", "-Xsam-conversions=class", "-Xstring-concat=inline")
    }
}

java {
    sourceCompatibility = JavaVersion.VERSION_1_8
    targetCompatibility = JavaVersion.VERSION_1_8
}

dependencies {
    // The classes alone: the app brings them with their native library.
    compileOnly("org.bytedeco:opencv:4.11.0-1.5.12")
    // Part of Android.
    compileOnly("org.json:json:20240303")
}
