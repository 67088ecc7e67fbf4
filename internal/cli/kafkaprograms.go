package cli

// Kafkabusctl is the command line of the bus on Kafka.
func Kafkabusctl() Program {
	return Program{
		Name:  "kafkabusctl",
		Short: "Publish and read messages on the ampy bus on Kafka, and look after its topics",
		Kafka: true,
		Commands: []Command{
			(*app).kafkaServer, (*app).doctor, (*app).ensureTopic,
			(*app).pubEmpty, (*app).pub, (*app).publishFixture, (*app).kafkaSub,
			(*app).lag, (*app).offsets,
			(*app).completion, (*app).version,
		},
	}
}

// Kafkainspect looks at Kafka and changes nothing.
func Kafkainspect() Program {
	return Program{
		Name:  "kafkainspect",
		Kafka: true,
		Root:  (*app).inspectKafka,
		Commands: []Command{
			(*app).listTopics, (*app).describeTopic, (*app).inspectConsume,
			(*app).listGroups, (*app).lag, (*app).offsets,
			(*app).completion, (*app).version,
		},
	}
}

// Kafkapoison sends a message that ends in a dead-letter topic.
func Kafkapoison() Program {
	return Program{Name: "kafkapoison", Kafka: true, Root: (*app).poison}
}

// Benchkafka is the benchmark of publishing to Kafka.
func Benchkafka() Program {
	return Program{Name: "benchkafka", Kafka: true, Root: (*app).benchKafka}
}
